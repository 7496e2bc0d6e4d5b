import sys

from libdepot._cli.main import main

sys.exit(main())

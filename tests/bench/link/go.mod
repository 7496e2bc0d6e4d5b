module libdepot/link

go 1.26.8

"""dataclasses, typing and collections.abc as this package needs them, without importing them.

Half of what `import libdepot` took in Python was these: 9 ms to import dataclasses (inspect, ast, dis), 7 to
have it compile the methods of nine classes, 7 to import typing (re, contextlib). This is 1. A class that is
decorated here has a dataclass's methods without any compiling, and takes what else dataclasses can
(fields(), replace(), a signature) from a true one when somebody asks for it. Then enum with functools and
collections, 5 ms, were half of the rest: the modules that need them are imported when they are needed.
"""

from __future__ import annotations

# What collections.abc has its names from; the interpreter has it, and no package around it.
from _collections_abc import Callable, Iterator, Mapping, Sequence

TYPE_CHECKING = False  # typing's: type checkers take it for true by its name
if TYPE_CHECKING:
    import typing
    from dataclasses import dataclass, field

__all__ = ["Callable", "Iterator", "Later", "Mapping", "Sequence", "dataclass", "field", "typing"]
LATE = ("__dataclass_fields__", "__dataclass_params__", "__replace__", "__signature__")


class Field(dict[str, "typing.Any"]):
    """The arguments of a dataclasses.field()."""
    def make(self) -> object:
        return self["default"] if "default" in self else self["default_factory"]()


class Late:
    """An attribute that the true dataclass has, or (with this Python) has not."""
    def __init__(self, name: str, complete: typing.Callable[[], type]) -> None:
        self.name, self.complete = name, complete

    def __get__(self, instance: object, owner: type) -> typing.Any:
        if self.name not in vars(self.complete()):
            raise AttributeError(self.name)
        return getattr(owner if instance is None else instance, self.name)  # no longer this one


def light_dataclass(cls: type | None = None, *, frozen: bool = False) -> typing.Any:
    """dataclasses.dataclass, as far as it is used here: no inheritance, no order, no slots."""
    if cls is None:
        return lambda cls: light_dataclass(cls, frozen=frozen)
    body = {name: value for name, value in vars(cls).items() if name not in ("__dict__", "__weakref__")}
    fields: dict[str, Field] = {}
    for name in cls.__annotations__:
        given = body.get(name, Field())
        fields[name] = given if isinstance(given, Field) else Field(default=given)
        if "default" in fields[name]:
            setattr(cls, name, fields[name]["default"])
        elif name in body:
            delattr(cls, name)

    completed: list[type] = []

    def complete() -> type:
        """Takes it from a dataclass of the same body. Only methods that freeze are bound to that: ours stay."""
        if completed:
            return completed[0]
        import dataclasses
        given = {name: dataclasses.field(**spec) for name, spec in fields.items()}
        made = type(cls.__name__, (), {**body, **given, "__qualname__": cls.__qualname__})
        dataclasses.dataclass(frozen=frozen)(made)
        for name in ("__init__", "__repr__", "__eq__", "__hash__", *LATE):
            if name in vars(made):
                setattr(cls, name, vars(made)[name])
        completed.append(made)
        return made

    add_methods(cls, fields, frozen, complete)
    for name in LATE:
        setattr(cls, name, Late(name, complete))
    return cls


def add_methods(cls: typing.Any, fields: dict[str, Field], frozen: bool, complete: typing.Any) -> None:
    names = tuple(fields)
    required = {name for name, given in fields.items() if not given.keys() & {"default", "default_factory"}}
    shown = [name for name, given in fields.items() if given.get("repr", True)]

    def values(self: object) -> tuple[typing.Any, ...]:
        return tuple([getattr(self, name) for name in names])

    def __init__(self: typing.Any, /, *args: typing.Any, **kwargs: typing.Any) -> None:
        if len(args) == len(names) and not kwargs:
            self.__dict__.update(zip(names, args))  # past a __setattr__ that refuses
        else:
            given = dict(zip(names, args), **kwargs)
            if len(given) < len(args) + len(kwargs) or not required <= given.keys() <= fields.keys():
                complete().__init__(self, *args, **kwargs)  # raises the TypeError that says what is wrong
            self.__dict__.update({name: given[name] if name in given else fields[name].make() for name in names})
        if hasattr(cls, "__post_init__"):
            self.__post_init__()

    def __repr__(self: object) -> str:
        return f"{type(self).__qualname__}({', '.join([f'{name}={getattr(self, name)!r}' for name in shown])})"

    def __eq__(self: object, other: object) -> typing.Any:
        return values(self) == values(other) if type(other) is type(self) else NotImplemented

    def __hash__(self: object) -> int:
        return hash(values(self))

    def frozen_attribute(self: object, name: str, *value: object) -> None:
        if type(self) is cls or name in fields:
            from dataclasses import FrozenInstanceError
            raise FrozenInstanceError(f"cannot {'assign to' if value else 'delete'} field {name!r}")
        (super(cls, self).__setattr__ if value else super(cls, self).__delattr__)(name, *value)

    setattr(cls, "__match_args__", names)  # noqa: B010
    cls.__init__, cls.__repr__, cls.__eq__, cls.__hash__ = __init__, __repr__, __eq__, __hash__ if frozen else None
    if frozen:
        cls.__setattr__ = cls.__delattr__ = frozen_attribute


class Later:
    """A module that is imported when something of it is needed: by a call, or by who evaluates an annotation."""

    def __init__(self, module: str) -> None:
        self._module = module

    def __getattr__(self, name: str) -> typing.Any:
        return getattr(__import__(self._module, fromlist=[name]), name)


if not TYPE_CHECKING:
    dataclass, field, typing = light_dataclass, Field, Later("typing")

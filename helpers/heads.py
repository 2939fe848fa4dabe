"""Find and swap the head of a classifier: its output layer, the only part that knows the classes."""

import inspect
import operator
import warnings
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any
from weakref import WeakKeyDictionary, ref

from torch import fx, nn
from torch.nn.parameter import is_lazy
from torchvision.models import GoogLeNet, Inception3

OUTPUT_LAYERS = (nn.Linear, nn.Conv2d)
_SPOIL = {  # what may come right behind an old head, but not behind a new one that trains with cross_entropy
    nn.ReLU: "it set negative logits to 0",
    **dict.fromkeys((nn.Softmax, nn.Softmax2d, nn.Sigmoid), "cross_entropy takes logits, and does that itself"),
}
_SHAPES = (getattr, operator.getitem, "size", "dim")  # steps that read a shape, and no values


def find_head(model: nn.Module) -> str:
    """The path of the head, such as "fc" or "classifier.6": the last Linear or Conv2d layer that runs.

    The order is that of the forward pass, not the one in which __init__ creates the layers.
    Raises ValueError if no such layer runs, or if it is no output layer, because a normalisation or another branch of the
    network comes behind it: then the model has no head (nn.Identity in its place?), or several.

    >>> from torchvision.models import squeezenet1_1
    >>> find_head(squeezenet1_1())
    'classifier.1'
    """
    path, module = "", model
    while not path or not isinstance(module, OUTPUT_LAYERS):
        called = [str(step.target) for step in trace(module).nodes if step.op == "call_module"]
        layers = [name for name in called if any(isinstance(m, OUTPUT_LAYERS) for m in module.get_submodule(name).modules())]
        if not layers:
            raise ValueError(f"{type(module).__name__} has no head: its forward pass runs no Linear or Conv2d layer")
        path, module = f"{path}.{layers[-1]}".lstrip("."), module.get_submodule(layers[-1])
    _behind(model, path)
    return path


def swap_head(model: nn.Module, num_classes: int, *, head: str | None = None) -> nn.Module:
    """Replace the head with a newly initialised one for `num_classes` classes; in place, and returns the model.

    All other tensors stay the same objects. The new head has the inputs, geometry, dtype and device of the old one, and a
    bias only if the old one has. Two things leave with the old head: auxiliary heads, which predict the old classes
    (googlenet, inception_v3), and a ReLU (squeezenet), Softmax or Sigmoid layer behind it, which would spoil the logits; then
    a warning tells you. `head` is the path of the output layer, in case find_head does not find the right one.
    Raises TypeError or ValueError, and changes nothing, if num_classes is no positive integer, the head no such layer, or
    if a softmax or sigmoid behind it is a function in `forward`, which cannot be taken out.

    >>> from torchvision.models import resnet18
    >>> swap_head(resnet18(), num_classes=5).fc
    Linear(in_features=512, out_features=5, bias=True)
    """
    if isinstance(num_classes, bool) or not isinstance(num_classes, int):
        raise TypeError(f"num_classes must be an integer, got {num_classes!r}")
    if num_classes < 1:
        raise ValueError(f"num_classes must be at least 1, got {num_classes}")
    path = find_head(model) if head is None else head
    old = dict(model.named_modules(remove_duplicate=False)).get(path)
    if old is model or not isinstance(old, OUTPUT_LAYERS):
        raise ValueError(f"{type(model).__name__} has no Linear or Conv2d layer named '{path}', see model.named_modules()")
    spoils = _what_spoils_logits(model, path)
    model.set_submodule(path, _like(old, num_classes))
    drop_auxiliary_heads(model)
    for name in spoils:
        kind = type(model.get_submodule(name))
        model.set_submodule(name, nn.Identity())
        warnings.warn(f"removed the {kind.__name__} after the head of {type(model).__name__}: {_SPOIL[kind]}", stacklevel=2)
    return model


def drop_auxiliary_heads(model: nn.Module) -> nn.Module:
    """Remove the auxiliary heads of googlenet and inception_v3, in place: then training, too, gives plain logits."""
    for module in model.modules():
        if isinstance(module, GoogLeNet):
            module.aux_logits, module.aux1, module.aux2 = False, None, None
        elif isinstance(module, Inception3):
            module.aux_logits, module.AuxLogits = False, None
    return model


def _like(old: nn.Linear | nn.Conv2d, outputs: int) -> nn.Module:
    """A newly initialised layer like `old`, with another number of outputs."""
    common: dict[str, Any] = {"bias": old.bias is not None, "device": old.weight.device, "dtype": old.weight.dtype}
    if isinstance(old, nn.Linear):
        return nn.Linear(old.in_features, outputs, **common).train(old.training)
    for key in ("kernel_size", "stride", "padding", "dilation", "groups", "padding_mode"):
        common[key] = getattr(old, key)
    return nn.Conv2d(old.in_channels, outputs, **common).train(old.training)


def _behind(model: nn.Module, path: str) -> list[fx.Node]:
    """The steps from the output layer at `path` to the model's output.

    Raises ValueError if they show that it is not the output layer of the model.
    """
    parents = path.split(".")[:-1]
    steps = list(trace(model, {".".join(parents[: i + 1]) for i in range(len(parents))}).nodes)
    flow = [step for step in steps if step.op == "call_module" and step.target == path][-1:]
    for step in steps[steps.index(flow[0]) + 1 :] if flow else []:
        if not set(flow).isdisjoint(step.all_input_nodes):
            joined = [value for value in step.all_input_nodes if value not in flow and value.target not in _SHAPES]
            layer = model.get_submodule(str(step.target)) if step.op == "call_module" else nn.Identity()
            if joined or any(True for _ in layer.parameters()):
                what = f"a step that joins it with '{joined[0]}'" if joined else f"'{step.target}' ({type(layer).__name__})"
                raise ValueError(
                    f"{type(model).__name__} has no single head: the last Linear or Conv2d layer that runs is '{path}', and "
                    f"behind it comes {what}. If the output layer was replaced by nn.Identity, put an nn.Linear there first"
                )
            flow.append(step)
    return flow


def _what_spoils_logits(model: nn.Module, path: str) -> list[str]:
    """The layers of _SPOIL behind the head at `path`; raises ValueError if there is one that cannot be taken out."""
    try:
        steps = _behind(model, path)[1:]
    except ValueError:  # `head` was named: it is believed, in a model that cannot be followed, too
        return []
    found, fixed = list[str](), list[str]()
    for step in steps:
        layer = model.get_submodule(str(step.target)) if step.op == "call_module" else None
        if type(layer) in _SPOIL:  # one that the body uses, too, can be taken out if it has a second name here
            names = [name for name, module in model.named_modules(remove_duplicate=False) if module is layer]
            once = len(names) == [other.target for other in steps[0].graph.nodes].count(step.target)
            (found if once else fixed).append(names[-1])
        elif layer is None and getattr(step.target, "__name__", step.target) in ("softmax", "sigmoid"):
            fixed.append(step.name)
    if fixed:
        raise ValueError(
            f"{type(model).__name__} applies '{fixed[0]}' to the output of its head, in forward(), from where it cannot be taken "
            "out. cross_entropy takes logits, so a new head would learn badly: let forward() return the head's output"
        )
    return found


def trace(model: nn.Module, opened: Collection[str] = (), training: bool = False) -> fx.Graph:
    """The steps of `model.forward` as a graph (torch.fx) in which each module is one step; it is not to be changed.

    opened: the names of modules to look inside: the calls in them are steps, too. All others stay whole, so that in the
    graph as in the model they follow train() and eval() and draw new dropout masks. Arguments of `forward` that have a
    default value keep it: the images are the only input. A graph is kept until the model gets other modules or attributes.
    Raises ValueError if there is no fixed order of steps, because the forward pass depends on the values it sees.
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"expected a model (torch.nn.Module), got {type(model).__name__}")
    if any(is_lazy(parameter) for parameter in model.parameters()):
        raise ValueError(f"{type(model).__name__} has lazy layers, which are still empty: run one batch through it")
    graphs, key = _GRAPHS.setdefault(model, {}), (frozenset(opened), training)
    if key not in graphs or not _same(graphs[key][0], _marks(model, opened)):
        try:
            with mode(model, training):
                graph = _Tracer(opened).trace(model)
        except Exception as error:  # a forward pass may raise anything on symbolic values
            message = f"cannot follow the forward pass of {type(model).__name__} ({error}). It has to pass one tensor from "
            raise ValueError(f"{message}module to module, without decisions that depend on the tensor{_advice(model)}") from error
        graphs[key] = _marks(model, opened), graph
    return graphs[key][1]


def _advice(model: nn.Module) -> str:
    """What to pass in place of a model that cannot be followed, where that is known."""
    weights = set(model.parameters())
    inner = [name for name, child in model.named_children() if weights and set(child.parameters()) == weights]
    if inner:
        return f". Does it only wrap a network? Then pass that: model.{inner[0]}"
    if type(model).__module__.startswith("transformers."):
        return '. timm has such networks in a form that can be followed: load_backbone("timm:...")'
    return ""


@contextmanager
def mode(model: nn.Module, training: bool) -> Iterator[None]:
    """Put every module into training or evaluation mode; afterwards each has the mode it had before."""
    before = {module: module.training for module in model.modules()}
    try:
        for module in before:
            module.training = training
        yield
    finally:
        for module, was_training in before.items():
            module.training = was_training


class _Tracer(fx.Tracer):
    def __init__(self, opened: Collection[str]) -> None:
        super().__init__()
        self.opened = opened

    def create_args_for_root(self, root_fn: Any, is_module: bool, concrete_args: Any = None) -> Any:
        parameters = list(inspect.signature(root_fn).parameters.values())[1:]  # without self
        inputs = [p.name for p in parameters if p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD]
        return root_fn, [self.root, *(self.create_proxy("placeholder", name, (), {}) for name in inputs)]

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return module_qualified_name not in self.opened or super().is_leaf_module(m, module_qualified_name)


_GRAPHS: WeakKeyDictionary[nn.Module, dict[tuple[frozenset[str], bool], tuple[list[Any], fx.Graph]]] = WeakKeyDictionary()


def _marks(model: nn.Module, opened: Collection[str]) -> list[Any]:
    """All that decides the order of steps, held weakly: the modules and, where the tracer looks inside, their attributes."""
    found: list[Any] = []
    for name, module in model.named_modules(remove_duplicate=False):
        found += [name, module]
        if module is model or name in opened:
            for key, value in {**vars(module), "training": None, "forward of the class": type(module).forward}.items():
                items = [*value, *value.values()] if isinstance(value, dict) else value
                found += [key, *items] if isinstance(items, (list, tuple, set)) else [key, items]
    return [ref(item) if type(item).__weakrefoffset__ else item for item in found]  # the same ref as long as the item lives


def _same(old: list[Any], new: list[Any]) -> bool:
    return len(old) == len(new) and all(a is b or (type(a) is str and a == b) for a, b in zip(old, new, strict=True))

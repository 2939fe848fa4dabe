"""Find and swap the head of a classifier: its output layer, the only part that knows the classes."""

import inspect
import warnings
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any
from weakref import WeakKeyDictionary, ref

from torch import fx, nn
from torch.nn.parameter import is_lazy
from torchvision.models import GoogLeNet, Inception3

OUTPUT_LAYERS = (nn.Linear, nn.Conv2d)


def find_head(model: nn.Module) -> str:
    """The path of the head, such as "fc" or "classifier.6": the last Linear or Conv2d layer that runs.

    The order is that of the forward pass, not the one in which __init__ creates the layers.
    Raises ValueError if no such layer runs.

    >>> from torchvision.models import squeezenet1_1
    >>> find_head(squeezenet1_1())
    'classifier.1'
    """
    called = [str(step.target) for step in trace(model).nodes if step.op == "call_module"]
    for name in reversed(called):
        module = model.get_submodule(name)
        if any(isinstance(inner, OUTPUT_LAYERS) for inner in module.modules()):
            return name if isinstance(module, OUTPUT_LAYERS) else f"{name}.{find_head(module)}"
    raise ValueError(f"{type(model).__name__} has no head: its forward pass runs no Linear or Conv2d layer")


def swap_head(model: nn.Module, num_classes: int, *, head: str | None = None) -> nn.Module:
    """Replace the head with a newly initialised one for `num_classes` classes; in place, and returns the model.

    All other tensors stay the same objects. The new head has the inputs, geometry, dtype and device of the old one, and a
    bias only if the old one has. Two things leave with the old head: auxiliary heads, which predict the old classes
    (googlenet, inception_v3), and an activation right after the head: the ReLU of squeezenet, a Softmax of your own; then a
    warning tells you. `head` is the path of the output layer, in case find_head does not find the right one.
    Raises TypeError or ValueError, and changes nothing, if num_classes is no positive integer or the head no such layer.

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
    model.set_submodule(path, _like(old, num_classes))
    drop_auxiliary_heads(model)
    _drop_activation_after(model, path)
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


def _drop_activation_after(model: nn.Module, path: str) -> None:
    parent = model.get_submodule(path.rpartition(".")[0])
    if not isinstance(parent, nn.Sequential):
        return
    position = list(parent).index(model.get_submodule(path)) + 1
    if position < len(parent) and isinstance(parent[position], (nn.ReLU, nn.Softmax, nn.Sigmoid)):
        name, parent[position] = type(parent[position]).__name__, nn.Identity()
        message = f"removed the {name} after the head of {type(model).__name__}: losses take plain logits"
        warnings.warn(message, stacklevel=3)


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
            raise ValueError(f"{message}module to module, without decisions that depend on the tensor") from error
        graphs[key] = _marks(model, opened), graph
    return graphs[key][1]


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

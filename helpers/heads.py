"""Find and swap the head of a classifier: its output layer, the only part that knows the classes."""

import inspect
import warnings
from contextlib import contextmanager

from torch import fx, nn
from torch.nn.parameter import is_lazy
from torchvision.models import GoogLeNet, Inception3

OUTPUT_LAYERS = (nn.Linear, nn.Conv2d)


def find_head(model: nn.Module) -> str:
    """The path of the head, such as "fc" or "classifier.6": the last Linear or Conv2d layer that runs.

    The order is that of the forward pass, whatever the order in which __init__ made the layers.
    Raises ValueError if no such layer runs.
    """
    called = [step.target for step in trace(model).nodes if step.op == "call_module"]
    for name in reversed(called):
        module = model.get_submodule(name)
        if isinstance(module, OUTPUT_LAYERS):
            return name
        if any(isinstance(inner, OUTPUT_LAYERS) for inner in module.modules()):
            return f"{name}.{find_head(module)}"
    raise ValueError(f"{type(model).__name__} has no head: its forward pass runs no Linear or Conv2d layer")


def swap_head(model: nn.Module, num_classes: int, *, head: str | None = None) -> nn.Module:
    """Replace the head by a fresh one for `num_classes` classes; in place, and returns the model.

    All other tensors stay the very same. The new head has the old one's inputs, geometry, dtype and device,
    and a bias only if the old one has. Two more things leave with the old head: auxiliary heads, which know
    the old classes (googlenet, inception_v3), and a ReLU right behind the head (squeezenet), because it
    would set negative logits to 0; a warning says so.

    `head`: the path of the output layer, should find_head not find it.
    Raises TypeError or ValueError if num_classes is not a positive integer, or the head not a Linear or
    Conv2d.
    """
    if isinstance(num_classes, bool) or not isinstance(num_classes, int):
        raise TypeError(f"num_classes must be an integer, got {num_classes!r}")
    if num_classes < 1:
        raise ValueError(f"num_classes must be at least 1, got {num_classes}")
    path = find_head(model) if head is None else head
    model.set_submodule(path, _like(_layer(model, path), num_classes))
    drop_auxiliary_heads(model)
    _drop_relu_behind(model, path)
    return model


def drop_auxiliary_heads(model: nn.Module) -> nn.Module:
    """Remove the auxiliary heads of googlenet and inception_v3, in place: training yields logits only."""
    for module in model.modules():
        if isinstance(module, GoogLeNet):
            module.aux_logits, module.aux1, module.aux2 = False, None, None
        elif isinstance(module, Inception3):
            module.aux_logits, module.AuxLogits = False, None
    return model


def _layer(model: nn.Module, path: str) -> nn.Module:
    try:
        layer = model.get_submodule(path)
    except AttributeError:
        raise ValueError(f"{type(model).__name__} has no module '{path}', see named_modules()") from None
    if layer is model or not isinstance(layer, OUTPUT_LAYERS):
        raise ValueError(f"'{path}' is a {type(layer).__name__}: a head is a Linear or Conv2d in a model")
    return layer


def _like(old: nn.Module, outputs: int) -> nn.Module:
    """A fresh layer like `old`, with another number of outputs."""
    common = {"bias": old.bias is not None, "device": old.weight.device, "dtype": old.weight.dtype}
    if isinstance(old, nn.Linear):
        new = nn.Linear(old.in_features, outputs, **common)
    else:
        geometry = ("kernel_size", "stride", "padding", "dilation", "groups", "padding_mode")
        new = nn.Conv2d(old.in_channels, outputs, **{key: getattr(old, key) for key in geometry}, **common)
    return new.train(old.training)


def _drop_relu_behind(model: nn.Module, path: str) -> None:
    parent = model.get_submodule(path.rpartition(".")[0])
    if not isinstance(parent, nn.Sequential):
        return
    position = list(parent).index(model.get_submodule(path)) + 1
    if position < len(parent) and isinstance(parent[position], nn.ReLU):
        parent[position] = nn.Identity()
        warnings.warn(
            f"removed the ReLU behind the head of {type(model).__name__}: it set negative logits to 0",
            stacklevel=3,
        )


def trace(model: nn.Module, opened=(), training=False) -> fx.Graph:
    """The steps of `model.forward` as a graph (torch.fx), in which each module is one step.

    `opened` names modules to look into: the calls inside them are steps, too. All others stay whole, so
    that in the graph as in the model they heed train() and eval() and draw fresh dropout. Arguments of
    `forward` that have a default value keep it: the images are the one input.
    Raises ValueError if there is no fixed order of steps, because the forward pass decides by the values it
    sees.
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"expected a model (torch.nn.Module), got {type(model).__name__}")
    if any(is_lazy(parameter) for parameter in model.parameters()):
        raise ValueError(f"{type(model).__name__} has lazy layers, still empty: run one batch through it")
    with mode(model, training):
        try:
            return _Tracer(opened).trace(model)
        except Exception as error:  # a forward pass may raise anything on symbolic values
            raise ValueError(
                f"cannot follow the forward pass of {type(model).__name__} ({error}). It has to hand one "
                "tensor from module to module, without decisions that depend on the tensor"
            ) from error


@contextmanager
def mode(model: nn.Module, training: bool):
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
    def __init__(self, opened):
        super().__init__()
        self.opened = opened

    def create_args_for_root(self, root_fn, is_module, concrete_args=None):
        parameters = list(inspect.signature(root_fn).parameters.values())[1:]  # without self
        inputs = [p.name for p in parameters if p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD]
        return root_fn, [self.root, *(self.create_proxy("placeholder", name, (), {}) for name in inputs)]

    def is_leaf_module(self, module, name):
        return name not in self.opened or super().is_leaf_module(module, name)

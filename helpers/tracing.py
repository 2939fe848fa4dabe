"""Follow a batch of images through a model without computing: which modules run, in which order."""

import inspect
from contextlib import contextmanager

from torch import fx, nn
from torch.nn.parameter import is_lazy


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

"""Transplant the first stages of one network into another of the same architecture."""

import torch
from torch import nn

from helpers.stages import cut


@torch.no_grad()
def transplant(donor: nn.Module, into: nn.Module, upto: str | float) -> nn.Module:
    """Copy all parameters and buffers of the stages before `upto` (as in `freeze`) from donor into another network.

    In place, and returns it; the heads may differ. Raises what `freeze` raises, and ValueError if the networks differ.
    Source of the experiment: Yosinski et al., How transferable are features in deep neural networks?, 2014.
    """
    before, _ = cut(into, upto)
    modules = {inner for stage in before for module in stage.modules for inner in module.modules()}
    wanted = {id(tensor) for module in modules for tensor in (*module.parameters(False), *module.buffers(False))}
    wanted |= {id(parameter) for stage in before for parameter in stage.parameters}
    given = donor.state_dict()
    for name, tensor in into.state_dict(keep_vars=True).items():
        if id(tensor) in wanted:
            if name not in given or given[name].shape != tensor.shape:
                raise ValueError(f"the donor has no {name} of shape {tuple(tensor.shape)}: not the same architecture")
            tensor.copy_(given[name])
    return into

"""Parameter-efficient fine-tuning: train the head and a small subset of what is not frozen."""

from torch import nn
from torch.nn.modules.batchnorm import _NormBase

from helpers.heads import find_head
from helpers.stages import stages

SUBSETS = ("batchnorm", "bias", "lora")
NORMALISATION = (_NormBase, nn.LayerNorm, nn.GroupNorm)
RANK = 8  # of LoRA's update of a weight matrix


def train_only(model: nn.Module, what: str, rank: int = RANK) -> nn.Module:
    """Among the parameters that train now (after `freeze`), go on training the head and

        "batchnorm"  scales and shifts of normalisation layers (BatchNorm, LayerNorm, GroupNorm): Frankle et al., 2021
        "bias"       additive parameters only, those of normalisation layers too: BitFit, Ben Zaken et al., 2022
        "lora"       for each linear layer, two new matrices whose product, of this `rank`, is added to its weight,
                     which is frozen: Hu et al., 2022. The library peft puts them in; they start as no change

    In place, and returns the model. Where the head alone trains, that is what goes on. `merge_adapters` turns a network
    with LoRA into an ordinary one. The output projections inside torch's MultiheadAttention get none: attention reads
    their weights and never calls them.

    Raises ValueError for another `what`, a rank below 1 and a network that has nothing of the kind before its head;
    ImportError if "lora" is asked for without peft.
    """
    if what not in SUBSETS:
        raise ValueError(f"what={what!r} must be one of {', '.join(map(repr, SUBSETS))}")
    if what == "lora" and (isinstance(rank, bool) or not isinstance(rank, int) or rank < 1):
        raise ValueError(f"rank={rank!r} must be a whole number, 1 or more")
    training = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    of_head = _head_parameters(model)
    chosen = _chosen(model, what, of_head)
    if what == "lora":
        found = [name for name in chosen if f"{name}.weight" in training]
        if found:
            _inject(model, found, rank)
        chosen = {name for name, _ in model.named_parameters() if ".lora_" in name}
        training |= {name for name in chosen if name.split(".lora_")[0] in found} | of_head & training
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name in training and (name in chosen or name in of_head))
        if not parameter.requires_grad:
            parameter.grad = None  # an old gradient would let the optimizer go on moving it
    return model


def merge_adapters(model: nn.Module) -> nn.Module:
    """Add what LoRA has learnt to the weights and take the adapters out again; in place, and returns the model.

    The network then has its old layers and answers as before, up to rounding. One without adapters stays as it is.
    """
    adapters = [(name, module) for name, module in model.named_modules() if hasattr(module, "lora_A")]
    for name, module in adapters:
        module.merge()
        parent, _, attribute = name.rpartition(".")
        setattr(model.get_submodule(parent), attribute, module.get_base_layer())
    if hasattr(model, "peft_config"):
        del model.peft_config
    return model


def _head_parameters(model: nn.Module) -> set[str]:
    head = {id(parameter) for parameter in stages(model)[-1].parameters}
    return {name for name, parameter in model.named_parameters() if id(parameter) in head}


def _chosen(model: nn.Module, what: str, of_head: set[str]) -> set[str]:
    """The names of the parameters (for "lora": of the layers) of this kind before the head, frozen ones too."""
    if what == "bias":
        chosen = {name for name, _ in model.named_parameters() if name.endswith("bias")}
        kind = "biases"
    elif what == "batchnorm":
        layers = [(name, module) for name, module in model.named_modules() if isinstance(module, NORMALISATION)]
        chosen = {f"{name}.{own}" for name, module in layers for own, _ in module.named_parameters(recurse=False)}
        kind = "normalisation layers with scales and shifts"
    else:
        head = find_head(model)
        chosen = {name for name, module in model.named_modules() if type(module) is nn.Linear} - {head}
        chosen = {name for name in chosen if not name.endswith("base_layer") and ".lora_" not in name}
        kind = "linear layers"
        if any(hasattr(module, "lora_A") for module in model.modules()):
            return chosen  # it has adapters already
    if not chosen - of_head:
        raise ValueError(f'train_only(model, "{what}"): {type(model).__name__} has no {kind} before its head')
    return chosen


def _inject(model: nn.Module, layers: list[str], rank: int) -> None:
    try:
        from peft import LoraConfig, inject_adapter_in_model
    except ImportError as error:
        raise ImportError('"lora" needs the library peft, which is not installed: pip install peft') from error
    device = next(model.parameters()).device
    inject_adapter_in_model(LoraConfig(r=rank, lora_alpha=2 * rank, target_modules=layers), model)
    model.to(device)


def added_by(model: nn.Module) -> dict[str, int]:
    """Of a network's parameters: how many there are in all, how many train, how many of those are the head's."""
    of_head = _head_parameters(model)
    counts = {"all": 0, "training": 0, "head": 0}
    for name, parameter in model.named_parameters():
        counts["all"] += parameter.numel()
        counts["training"] += parameter.numel() * parameter.requires_grad
        counts["head"] += parameter.numel() * (parameter.requires_grad and name in of_head)
    return counts

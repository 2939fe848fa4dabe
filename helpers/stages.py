"""The ordered stages of any classifier, and how to cut it at one of them: a model is a prefix followed by a suffix."""

from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from torch import fx, nn
from torch.nn.modules.batchnorm import _BatchNorm

from helpers.heads import find_head, trace

DROPOUTS = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout, nn.FeatureAlphaDropout)


def stage_names(model: nn.Module) -> list[str]:
    """The names of the stages, from the input to the head; the model can be cut before each of them.

    The last stage is the head. Dropout right before the head belongs to it, and stays random while the head is trained.
    Raises ValueError if the forward pass cannot be followed, or if the head cannot be cut off.

    >>> from torchvision.models import resnet18
    >>> stage_names(resnet18())
    ['conv1', 'bn1', 'relu', 'maxpool', 'layer1', 'layer2', 'layer3', 'layer4', 'avgpool', 'fc']
    """
    return [stage.name for stage in stages(model)]


def split(model: nn.Module, at: str | float) -> tuple[nn.Module, nn.Module]:
    """Cut the model in two: suffix(prefix(x)) equals model(x) bitwise, and so do the gradients.

    `at` is the first stage of the suffix, in any form that `freeze` takes: a name, -1 for the head, a fraction ...; with 0
    the prefix is empty. The halves share the model's own modules: training the suffix trains the model. The suffix works on
    a copy of its input: features that you keep stay intact, even if its first layer is a ReLU(inplace=True).
    Raises what `freeze` raises, and ValueError if the model takes other steps in training than in evaluation.

    >>> from torch import rand
    >>> from torchvision.models import resnet18
    >>> prefix, suffix = split(resnet18(), "layer4")
    >>> prefix(rand(2, 3, 64, 64)).shape
    torch.Size([2, 256, 4, 4])
    """
    before, after = cut(model, at)
    if [step.format_node() for step in _steps(model)] != [step.format_node() for step in _steps(model, training=True)]:
        raise ValueError(
            f"{type(model).__name__} takes other steps in training than in evaluation, which fixed halves cannot do: "
            "use nn.Dropout instead of F.dropout, and swap_head if there are auxiliary heads"
        )
    between = after[0].input if before else None
    return part(model, before, end=between) if before else nn.Identity(), part(model, after, start=between)


@dataclass(frozen=True)
class Stage:
    """A section of the forward pass: its steps (torch.fx), the modules they call, the parameters they use."""

    name: str
    steps: list[fx.Node]
    modules: list[nn.Module]
    parameters: list[nn.Parameter]

    @property
    def input(self) -> fx.Node:
        """The one value that enters the stage (the first stage has none: it starts with the image)."""
        return self.steps[0].all_input_nodes[0]


def stages(model: nn.Module) -> list[Stage]:
    """The stages of `stage_names` with their content; every step and parameter is in exactly one of them.

    Bare parameters, such as the class token of a ViT, belong to the stage that uses them. What is not used at all
    (auxiliary heads, in evaluation mode) belongs to the first stage.
    """
    steps = _steps(model)
    starts = _starts(model, steps, find_head(model))
    ends = [*starts.values(), len(steps)][1:]
    found, unused = [], list(model.parameters())
    for (name, start), end in zip(starts.items(), ends, strict=True):
        used = [_used(model, step) for step in steps[start:end]]
        state = set().union(*map(_state, used))
        modules = [item for item in used if isinstance(item, nn.Module)]
        found.append(Stage(name, steps[start:end], modules, [p for p in unused if p in state]))
        unused = [p for p in unused if p not in state]
    called = {inner for stage in found for module in stage.modules for inner in module.modules()}
    rest = [module for module in model.modules() if module not in called]
    found[0].modules.extend(module for module in rest if called.isdisjoint(module.modules()))
    found[0].parameters.extend(unused)
    return found


def cut(model: nn.Module, at: str | float) -> tuple[list[Stage], list[Stage]]:
    """The stages before the cut point `at`, and those from there on; raises what `freeze` raises."""
    found = stages(model)
    position = _position(at, found)
    before, after = found[:position], found[position:]
    frozen = {inner for stage in before for module in stage.modules for inner in module.modules()}
    for name, module in model.named_modules():
        if module in frozen and isinstance(module, _BatchNorm) and module.running_mean is None:
            raise ValueError(
                f"'{name}' keeps no running statistics (track_running_stats=False): even frozen, its output for an image "
                "depends on the rest of the batch. Cut before it, or let it keep statistics"
            )
    dropped = ""
    for step in _steps(model, training=True) if before else []:
        if step.op == "call_module" and step.target == after[0].name:
            break
        if step.op == "call_module" and dropped:
            raise ValueError(
                f"{type(model).__name__} calls {dropped} as a function, before '{step.target}': evaluation mode, in which frozen "
                "layers are, does not stop it. Use nn.Dropout instead, or cut before it"
            )
        dropped = step.name if step.op == "call_function" and "dropout" in step.name else dropped
    return before, after


def part(model: nn.Module, some: list[Stage], start: fx.Node | None = None, end: fx.Node | None = None) -> nn.Module:
    """Some stages as a module, from a copy of the value `start` to `end` (default: the model's own input and output)."""
    graph, copies = fx.Graph(), dict[fx.Node, fx.Node]()
    if start is not None:
        copies[start] = graph.call_method("clone", (graph.placeholder("features"),))
    for step in (step for stage in some for step in stage.steps):
        copies[step] = graph.node_copy(step, copies.__getitem__)
    if end is not None:
        graph.output(copies[end])
    return fx.GraphModule(model, graph, class_name=f"{type(model).__name__}Part")


def _position(at: str | float, found: list[Stage]) -> int:
    """The number of stages before the cut point `at`."""
    names = [stage.name for stage in found]
    weighted = [i for i, stage in enumerate(found) if any(parameter.ndim > 1 for parameter in stage.parameters)]
    is_fitting = isinstance(at, (str, int, float)) and not isinstance(at, bool)
    if isinstance(at, str) and at in [*names, "head"]:
        return names.index(at) if at in names else len(names) - 1
    if is_fitting and isinstance(at, int) and -len(weighted) <= at < 0:
        return weighted[at]
    if is_fitting and (at == 0 or (isinstance(at, float) and 0 <= at <= 1)):
        return round(at * (len(names) - 1))
    raise (ValueError if is_fitting else TypeError)(
        f"{at!r} is not a cut point: use -1 (before the head), -2 to {-len(weighted)} (the last two, three, ... stages "
        f"with weights), 0 (before everything), a fraction from 0.0 to 1.0, or one of the stages {', '.join(names)}"
    )


def _steps(model: nn.Module, training: bool = False) -> list[fx.Node]:
    return list(trace(model, _opened(model, find_head(model)), training).nodes)


def _opened(module: nn.Module, head: str, prefix: str = "") -> set[str]:
    """The modules to look inside for stages: on the path to the head, or with 90% of the rest (nested sequences: 50%)."""
    branch, _, path_in_branch = head.partition(".")
    size = {name: sum(p.numel() for p in child.parameters()) for name, child in module.named_children()}
    rest = sum(size.values()) - size.get(branch, 0)
    opened = set()
    for name, child in module.named_children():
        path = path_in_branch if name == branch else ""
        is_nested = {type(child), *map(type, child.children())} == {nn.Sequential}  # the blocks of timm's EfficientNets
        is_body = name != branch and any(child.children()) and size[name] >= (0.5 if is_nested else 0.9) * rest > 0
        if path or is_body or type(child) in (nn.ModuleList, nn.ModuleDict):
            opened |= {prefix + name} | _opened(child, path, f"{prefix}{name}.")
    return opened


def _starts(model: nn.Module, steps: list[fx.Node], head: str) -> dict[str, int]:
    """The step at which each stage starts.

    A module may start a stage if its input is the only value that later steps use, and if the steps before share neither
    tensors nor dropout with the steps after: then the model is one part followed by another.
    """
    states = [_state(_used(model, step)) for step in steps]
    starts: dict[str, int] = {}
    seen: dict[fx.Node, None] = {}
    for i, step in enumerate(steps):
        if step.op == "call_module":
            name = str(step.target)
            used_later = [value for value in seen if not value.users.keys() <= seen.keys()]
            is_only_way = len(used_later) == 1 and used_later == step.all_input_nodes
            if not starts:
                starts[name] = 0  # the input of the model is always a cut point
            elif is_only_way and set().union(*states[:i]).isdisjoint(set().union(*states[i:])):
                starts.setdefault(name, i)
            if name == head:
                break
        seen[step] = None
    if head not in starts:
        raise ValueError(f"cannot cut {type(model).__name__} before its head '{head}': values bypass it")
    *body, (_, start) = starts.items()
    for name, i in reversed(body):  # Dropout right before the head belongs to it
        if isinstance(model.get_submodule(name), DROPOUTS):
            start = i
        elif not isinstance(model.get_submodule(name), nn.Flatten):
            break
    return {name: i for name, i in body if i < start} | {head: start}


def _used(model: nn.Module, step: fx.Node) -> Any:
    """The module or bare tensor of the model that a step uses, or None."""
    return attrgetter(str(step.target))(model) if step.op in ("call_module", "get_attr") else None


def _state(used: Any) -> set[Any]:
    """What the two sides of a cut must not share: tensors, and modules that draw random numbers."""
    if isinstance(used, nn.Module):
        dropouts = (module for module in used.modules() if isinstance(module, DROPOUTS))
        return {*used.parameters(), *used.buffers(), *dropouts}
    return set() if used is None else {used}

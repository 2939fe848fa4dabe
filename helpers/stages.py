"""The ordered stages of any classifier, and the cut at a stage: a model is a prefix followed by a suffix."""

from dataclasses import dataclass
from operator import attrgetter

from torch import fx, nn
from torch.nn.modules.batchnorm import _BatchNorm

from helpers.heads import find_head, trace

DROPOUTS = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout, nn.FeatureAlphaDropout)


def stage_names(model: nn.Module) -> list[str]:
    """The names of the stages, from the input to the head; the model can be cut before each of them.

    A resnet18 has conv1, bn1, relu, maxpool, layer1, layer2, layer3, layer4, avgpool and fc. The last stage
    is the head; Dropout right before it belongs to it, and has to stay random while the head is trained.
    Raises ValueError if the forward pass cannot be followed, or the head cannot be cut off.
    """
    return [stage.name for stage in stages(model)]


def split(model: nn.Module, at: str | float) -> tuple[nn.Module, nn.Module]:
    """Cut the model in two: suffix(prefix(x)) is model(x) to the last bit, and so are the gradients.

    `at` is the first stage of the suffix, in the forms that `freeze` takes: a name, -1 for the head, a
    fraction ...; 0 leaves the prefix empty. The halves share the model's own modules: to train the suffix is to
    train the model. The suffix works on a copy of its input, so that features that are kept stay intact
    even if its first layer overwrites what it gets, as ReLU(inplace=True) does.

    Raises what `freeze` raises, and ValueError if the model takes other steps in training than in evaluation.
    """
    before, after = cut(model, at)
    steps = [step for stage in before + after for step in stage.steps]
    if _text(steps) != _text(_steps(model, find_head(model), training=True)):
        raise ValueError(
            f"{type(model).__name__} takes other steps in training than in evaluation, which fixed halves "
            "cannot do: use nn.Dropout in place of F.dropout, and swap_head if there are auxiliary heads"
        )
    if not before:
        return nn.Identity(), part(model, after)
    return part(model, before, end=after[0].input), part(model, after, start=after[0].input)


@dataclass(frozen=True)
class Stage:
    """A stretch of the forward pass: its steps (torch.fx), the modules they call, the parameters they use."""

    name: str
    steps: list[fx.Node]
    modules: list[nn.Module]
    parameters: list[nn.Parameter]

    @property
    def input(self) -> fx.Node:
        """The one value that enters the stage (the first stage has none: it begins with the image)."""
        return self.steps[0].all_input_nodes[0]


def stages(model: nn.Module) -> list[Stage]:
    """The stages of `stage_names` with their content; every step and parameter is in exactly one of them.

    Bare parameters, such as the class token of a ViT, belong to the stage in which they are used. What is
    not used at all (auxiliary heads, in evaluation mode) belongs to the first stage.
    """
    head = find_head(model)
    steps = _steps(model, head)
    starts = _starts(model, steps, head)
    ends = [*list(starts.values())[1:], len(steps)]
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
    """The stages before the place `at` and those from there on; raises what `freeze` raises."""
    found = stages(model)
    position = _position(at, found)
    before, after = found[:position], found[position:]
    frozen = {inner for stage in before for module in stage.modules for inner in module.modules()}
    for name, module in model.named_modules():
        if module in frozen and isinstance(module, _BatchNorm) and module.running_mean is None:
            raise ValueError(
                f"'{name}' keeps no running statistics (track_running_stats=False): even frozen, what it "
                "makes of an image depends on the others in the batch. Cut before it, or have statistics kept"
            )
    return before, after


def part(
    model: nn.Module, some: list[Stage], start: fx.Node | None = None, end: fx.Node | None = None
) -> nn.Module:
    """Some stages as a module, from a copy of the value `start` to `end` (default: the model's ends)."""
    graph, copies = fx.Graph(), {}
    if start is not None:
        copies[start] = graph.call_method("clone", (graph.placeholder("features"),))
    for step in (step for stage in some for step in stage.steps):
        copies[step] = graph.node_copy(step, copies.__getitem__)
    if end is not None:
        graph.output(copies[end])
    return fx.GraphModule(model, graph, class_name=f"{type(model).__name__}Part")


def _position(at: str | float, found: list[Stage]) -> int:
    """The number of stages before the place `at`."""
    names = [stage.name for stage in found]
    with_parameters = [i for i, stage in enumerate(found) if stage.parameters]
    if isinstance(at, bool) or not isinstance(at, (str, int, float)):
        raise TypeError(f"{at!r} is no place to cut: use a stage's name, -1, 0 or a fraction such as 0.5")
    if at in names:
        return names.index(at)
    if at == "head":
        return len(names) - 1
    if isinstance(at, int) and -len(with_parameters) <= at < 0:
        return with_parameters[at]
    if at == 0 or (isinstance(at, float) and 0 <= at <= 1):
        return round(at * (len(names) - 1))
    raise ValueError(
        f"{at!r} is no place to cut: use -1 (before the head), -2 to {-len(with_parameters)} (so many stages with "
        "parameters from the end), 0 (before everything), a fraction from 0.0 to 1.0, or one of the stages "
        f"{', '.join(names)}"
    )


def _steps(model: nn.Module, head: str, training: bool = False) -> list[fx.Node]:
    return list(trace(model, _opened(model, head), training).nodes)


def _opened(module: nn.Module, head: str, prefix: str = "") -> set[str]:
    """The modules to look into for stages: on the path to the head, and any with 90 % of the rest."""
    branch, _, path_in_branch = head.partition(".")
    rest = sum(_size(child) for name, child in module.named_children() if name != branch)
    opened = set()
    for name, child in module.named_children():
        if name == branch:
            is_open, head_inside = bool(path_in_branch), path_in_branch
        else:
            is_open, head_inside = any(child.children()) and _size(child) >= 0.9 * rest > 0, ""
        if is_open or type(child) in (nn.ModuleList, nn.ModuleDict):
            opened |= {prefix + name} | _opened(child, head_inside, f"{prefix}{name}.")
    return opened


def _starts(model: nn.Module, steps: list[fx.Node], head: str) -> dict[str, int]:
    """At which step each stage starts.

    A module may start a stage if its input is the only value that flows on from there, and if what comes
    before shares neither weights nor dropout with what comes after: then the model is one part followed by
    another.
    """
    states = [_state(_used(model, step)) for step in steps]
    starts, seen = {}, {}
    for i, step in enumerate(steps):
        if step.op == "call_module":
            flowing_on = [value for value in seen if not value.users.keys() <= seen.keys()]
            is_only_way = len(flowing_on) == 1 and flowing_on == step.all_input_nodes
            if not starts:
                starts[step.target] = 0  # the input of the model is always a place to cut
            elif is_only_way and set().union(*states[:i]).isdisjoint(set().union(*states[i:])):
                starts.setdefault(step.target, i)
            if step.target == head:
                break
        seen[step] = None
    if head not in starts:
        raise ValueError(f"cannot cut {type(model).__name__} before its head '{head}': values bypass it")
    return _with_dropout_in_head(model, starts)


def _with_dropout_in_head(model: nn.Module, starts: dict[str, int]) -> dict[str, int]:
    """Let the head's stage begin at the Dropout right before it, if there is one."""
    *body, (head, start) = starts.items()
    for name, i in reversed(body):
        module = model.get_submodule(name)
        if isinstance(module, DROPOUTS):
            start = i
        elif not isinstance(module, nn.Flatten):
            break
    return {name: i for name, i in body if i < start} | {head: start}


def _used(model: nn.Module, step: fx.Node):
    """The module or bare tensor of the model that a step uses, or None."""
    return attrgetter(step.target)(model) if step.op in ("call_module", "get_attr") else None


def _state(used) -> set:
    """What must not be shared by the two sides of a cut: tensors, and modules that draw random numbers."""
    if isinstance(used, nn.Module):
        dropouts = (module for module in used.modules() if isinstance(module, DROPOUTS))
        return {*used.parameters(), *used.buffers(), *dropouts}
    return set() if used is None else {used}


def _text(steps: list[fx.Node]) -> list[str | None]:
    return [step.format_node() for step in steps]


def _size(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())

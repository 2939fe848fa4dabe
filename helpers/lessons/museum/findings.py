"""What the checks of the bug museum say: for each finding what was expected, and two hints that lead on. The rooms from
the fifth on are in _findings_lab4_later.py."""

from helpers.lessons.museum.findings_later import LATER
from helpers.notebook.findings import found_in

_SAYS = {
    # the lamp
    "action not run once": (
        "action() is called once, between the two looks",
        "What lies between the first look at the model and the second?",
        "The order is: look, act, look again. Is there one call of action(), with brackets, and only one?",
    ),
    "sees nothing": (
        "the names of the tensors that action() changed",
        "Both looks show the same values. Did you keep values, or a view of the tensors that then changed with them?",
        "state_dict() holds the model's own tensors. What makes a tensor that no later step reaches?",
    ),
    "buffers missed": (
        "parameters and buffers, whatever has changed",
        "A network consists of more than what has gradients. Which method lists all that is saved with it?",
        "BatchNorm keeps running_mean and running_var. Are they among the names that you go through?",
    ),
    "small changes missed": (
        "every change, however small: frozen means the same to the last bit",
        "How do you compare two tensors? Some comparisons forgive small differences.",
        "torch.allclose calls nearly equal tensors equal. Which function does not?",
    ),
    "false alarm": (
        "an empty list when nothing has changed",
        "Print one pair of tensors that you call different. What does your comparison return for it?",
        "`a is b` asks for the same object, `a == b` gives a tensor. You want one True or False about all values.",
    ),
    "not a list of names": (
        "a list of texts, such as ['fc.weight', 'bn1.running_mean']",
        "state_dict().items() gives pairs. Which half of each pair is asked for?",
        "A list comprehension that ends in `if ...` keeps what fulfils the condition: put the name in front.",
    ),
    # room 1
    "buffers move": (
        "outside the head nothing changes, not even a buffer",
        "Which layers keep averages of the batches they see, and in which mode do they do so?",
        "requires_grad says nothing to running_mean. Which mode must the backbone be in, in every epoch?",
    ),
    "some buffers move": (
        "no buffer outside the head changes",
        "You reached some of the BatchNorm layers. Where in the network are those whose averages moved?",
        "Some are inside stages, some are not; children() lists the first level only. Which method walks through all of it?",
    ),
    "depends on the batch": (
        "the same picture gives the same result, whoever is in the batch with it",
        "The averages rest, and still they are not used: by what are the activations normalised in this mode?",
        "In training mode BatchNorm normalises by the batch, even if it keeps no averages. Which mode does not?",
    ),
    "head frozen": (
        "the head learns",
        "Does the head's weight have requires_grad when all is done? What did your code do last?",
        "A loop over model.parameters() reaches the head, too, if it is already there.",
    ),
    # room 2
    "train mode": (
        "judging a network changes nothing in it",
        "In which mode is the network while it answers?",
        "no_grad() stops gradients. It does not stop BatchNorm from averaging what it sees. What does?",
    ),
    "dropout on": (
        "the same answers each time",
        "Something in the network throws dice while it answers. Which kind of layer does that?",
        "BatchNorm is not the only layer with two modes. What puts all of them at rest at once?",
    ),
    "left at rest": (
        "every module is in the mode in which it was before",
        "Training goes on after the evaluation. In which mode do you hand the network back?",
        "Each module has an attribute `training`. Note it before you change it.",
    ),
    "modes mixed up": (
        "every module is in the mode in which it was before: those that were at rest, too",
        "model.train() wakes up everything. What if a part had been at rest on purpose, as in room 1?",
        "One note for the whole model is too few: go through model.modules() and note `training` of each.",
    ),
    "wrong labels": (
        "one label an image, in the order of the images",
        "Compare your labels for three images with model(images[:3]).argmax(1) in evaluation mode.",
        "Are the batches put together in order? Is the largest logit looked for along the classes?",
    ),
    # room 3
    "backbone lost": (
        "all that comes before the head is what the source has learnt",
        "You made a network with the right number of outputs. What became of the weights in front of them?",
        "Change one layer of the model that you are given; do not make another model.",
    ),
    "old head inside": (
        "the old head is gone: the new one reads the features themselves",
        "The old layer is still in the network. What does it do for the new classes?",
        "The new layer takes the place of the old one, with as many inputs as that had.",
    ),
    "no fc": (
        "the head is model.fc, where the old one was",
        "The network that came back has no layer fc. What did you build around the old network?",
        "Assign to the attribute of the model that you are given, and return that model.",
    ),
    "old rows kept": (
        "a new layer, with random weights of its own",
        "Your head begins with the weights of some source classes. Why should your classes have to do with just those?",
        "A layer that is made anew brings its own random weights.",
    ),
    # room 4
    "nothing trains": (
        "layer4 and the head train",
        "No parameter has requires_grad: the next loss.backward() would stop with an error. What froze the head?",
        "Freezing goes through everything that is there at that moment. What should be let go afterwards?",
    ),
    "last stage frozen": (
        "layer4 trains, and the head",
        "The head learns alone. Which other part is to train here?",
        "Print the names of all parameters with requires_grad, and look for layer4.",
    ),
    "parameters move": (
        "outside layer4 and the head nothing changes",
        "Print the names of all parameters with requires_grad: which of them should be frozen?",
        "First everything stands still, then the parts that train are let go.",
    ),
}

found = found_in(_SAYS | LATER)

"""What the checks of lab 1 say: for each finding what was expected, and two hints that lead on."""

from helpers.lessons.flowers.findings_compared import SAYS
from helpers.notebook.findings import found_in

_SAYS = {
    # a copy with a new head
    "old width": (
        "a row for each image, a number for each of the new classes",
        "What makes the number of logits is the shape of the last layer's weight. Print it before and after your change.",
        "out_features is a label that the layer got when it was made: changing it changes no weight. What makes a new layer?",
    ),
    "source changed": (
        "the source model stays as it was: it will be used again",
        "Is what you change a copy, or the source model under a second name?",
        "`b = a` makes no second network. Which function, of a module that is imported at the top, does?",
    ),
    "shared weights": (
        "a copy with weights of its own",
        "Your network and the source model hold the very same tensors: training one would change the other.",
        "A shallow copy copies the box and not what is in it. What copies all the way down?",
    ),
    "body not copied": (
        "before the head, the same numbers as in the source model",
        "Where does your network get its weights from? A network that is built anew starts at random.",
        "Start from the whole source model, head and all, and change one layer of it.",
    ),
    "old head kept": (
        "the new head reads what the old head read, and takes its place",
        "What goes into your new layer: the features, or the answers of the old head?",
        "The new layer goes where the old one was. Assigning to an attribute of a network replaces that layer.",
    ),
    "head not new": (
        "a new head with random weights",
        "A row of the old head means a class of the source. Of what use is it to a class of yours?",
        "A new layer comes with random weights. Leave them as they are: training makes something of them.",
    ),
    # a frozen body
    "wrong way round": (
        "the body stands still, the head learns",
        "Which of the two did you let go, and which did you stop?",
        "Read your condition aloud with the name of a parameter of the head in it. Is the answer the one you want?",
    ),
    "head frozen": (
        "the head learns",
        "When your function is done, print name and requires_grad of every parameter. What does it say for the head's two?",
        "model.parameters() are all parameters, the head's too. What has to be undone for some of them?",
    ),
    "parameters move": (
        "outside the head no parameter changes",
        "Print the names of all parameters that have requires_grad. Which of them are not the head's?",
        "Evaluation mode stops no gradient. What decides whether a parameter gets one?",
    ),
    "buffers move": (
        "outside the head nothing changes, not even a buffer",
        "No weight moved, and yet the network changed. Which layers keep averages of the batches that they see?",
        "requires_grad says nothing to running_mean. In which mode does BatchNorm leave its averages alone?",
    ),
    # an optimizer
    "no optimizer": (
        "an optimizer of torch.optim, ready to step",
        "What does your return line hand back: the optimizer, or something that was meant for it?",
        "A class becomes an object when it is called. What are the two things that AdamW wants to know?",
    ),
    "another network's": (
        "a step changes the head of the network that the function was given",
        "Whose parameters did the optimizer get? Look at where that name comes from.",
        "An optimizer moves the tensors that it was given when it was made, and no others. Ask the argument for them.",
    ),
    "frozen parts only": (
        "the optimizer moves what trains",
        "The optimizer got parameters that stand still, and not those that learn. Look at your condition.",
        "requires_grad is True for what trains. Which of the two values does your condition let pass?",
    ),
    "part of the head": (
        "all of the head learns",
        "The head has more than one tensor. List them with model.fc.named_parameters().",
        "A linear layer is a weight and a bias. Which parameter does your optimizer not know?",
    ),
    "another rate": (
        "the learning rate that the function was given",
        "Which rate has the optimizer, and where does it come from? Print optimizer.param_groups[0]['lr'].",
        "Without a word from you AdamW takes a rate of its own. How is it told another?",
    ),
    # a training step
    "no gradients": (
        "every step computes gradients",
        "Which line asks the loss for its gradients?",
        "Three lines follow the loss. One empties, one computes, one moves. Which is missing?",
    ),
    "gradients thrown away": (
        "the gradients are used before they are emptied",
        "The gradients were computed, and gone when the optimizer wanted them. What stands between the two lines?",
        "Emptying comes either before the gradients are computed or after the step.",
    ),
    "steps too early": (
        "the optimizer uses the gradients of this batch",
        "When the optimizer moves for the first time, there are no gradients yet. Look at the order of your lines.",
        "Which line fills .grad, and which one reads it? The one that reads comes later.",
    ),
    "no step": (
        "every step moves the head",
        "There are gradients, and nobody uses them. Who moves the parameters?",
        "Of the optimizer's methods, one empties the gradients and one uses them. Are both called?",
    ),
    "gradients pile up": (
        "every step uses the gradients of its own batch alone",
        "The first step is right and the second is not. What is left over from the first?",
        "backward() adds to what is in .grad already. What empties it?",
    ),
    "another loss": (
        "the cross-entropy of the logits, averaged over the batch",
        "What does cross_entropy expect: probabilities, or the logits as the network gives them?",
        "cross_entropy contains the softmax. Applied twice, it flattens the answers and the gradients with them.",
    ),
    "mode changed": (
        "a step leaves the network in the mode in which it was",
        "Buffers of the frozen body moved during a step. Which line of yours put BatchNorm back to work?",
        "You froze the body in evaluation mode. Which method undoes that, for all layers at once?",
    ),
    # an accuracy
    "pixels not prepared": (
        "the network sees the images as the source model did: source.normalise(images)",
        "The network got other numbers than those it was trained on. What was done to the pixels in training?",
        "Each source model comes with its preprocessing. Who has it here, and at which point do the pixels need it?",
    ),
    "judged in training mode": (
        "evaluation changes nothing in the network",
        "After your function the buffers of the network are others than before. In which mode did it run?",
        "no_grad() stops gradients, not BatchNorm. What has to be said to the network before it is judged?",
    ),
    "images left out": (
        "every image is judged once",
        "Count the images that go through your network. Which ones are missing?",
        "Is the last batch as long as the others? And does your return stand inside the loop?",
    ),
    "mean of batches": (
        "right answers divided by images",
        "The last batch is shorter than the others, and in your mean it weighs as much as they do.",
        "Count right answers over all batches, and divide once, at the end.",
    ),
    "miscounted": (
        "the share of images whose largest logit is that of their label",
        "For one batch print the logits' shape, the predictions and the labels. Is there one prediction for each image?",
        "The predicted class is the position of the largest logit within a row. Along which dimension is that?",
    ),
    # the helpers
    "nothing transferred": (
        "before the head, the weights of the source model",
        "Compare your network's first layer with the source model's. Where did its weights come from?",
        "load_backbone gives trained weights unless it is told otherwise.",
    ),
}

found = found_in(_SAYS | SAYS)

"""What answers of lab 2 do wrong: what was expected in its place, and two hints for each. Sections 1 to 3 of the lab."""

from helpers.lessons.goldfinches.findings_strangers import STRANGER_FINDINGS
from helpers.notebook.findings import Finding, answer_of, found_in
from helpers.notebook.trouble import explain

# name: (what was expected, first hint, second hint)
FINDINGS = {
    # runs_of
    "another fit": (
        "calls of the function `fit` that is handed in",
        "The last argument is the function that trains. In the check it only notes what it is asked for.",
        "Inside runs_of write fit(...), not h.fit(...): then anybody can say what trains.",
    ),
    "seeds are a number": (
        "a loop over 0, 1, ... up to the number of seeds",
        "`seeds` says how many. What makes the numbers 0, 1, ... of it?",
        "A number cannot be gone through; range(...) of it can.",
    ),
    "no row of that name": (
        "the last row of the history, wherever it is numbered",
        "In a pandas column, [-1] looks for a row *called* -1. How does one ask for a place?",
        ".iloc goes by place, as a list does.",
    ),
    "not a table of runs": (
        "a pandas.DataFrame with the columns recipe, seed, val and test",
        "Each run gives one dict with these four keys; what makes a table of a list of dicts?",
        "Print what you return. The names of the columns are the keys of your dicts.",
    ),
    "runs missing": (
        "each recipe once with each seed",
        "Two loops are needed, one inside the other. Over what does each go?",
        "How many rows should three recipes with two seeds give? Count yours.",
    ),
    "same images for each seed": (
        "training images drawn anew for each seed",
        "Another seed is to stand for another person with other pictures. What in your code draws the training images?",
        "A Task has a method that returns the same task with other training images: see help(h.Task).",
    ),
    "recipes see other images": (
        "the same training images for all recipes of a seed",
        "A difference between two recipes should not be one between their pictures. Where in your loops do you draw?",
        "Draw once for each seed, outside of the loop over the recipes.",
    ),
    "seed not handed on": (
        "fit(recipe, task, seed), with the seed of the run",
        "The seed also decides the new head and the order of the batches. Who tells fit about it?",
        "Look at the arguments of h.fit: what is the third, and what is it if nobody says?",
    ),
    "test where validation belongs": (
        "val: the accuracy on the validation images",
        "A Fit's `accuracy` is that on the test images. Where is that on the validation images kept?",
        "A Fit has a history, a table with a row for each look at the validation images.",
    ),
    "best look": (
        "the validation accuracy at the end, the last row of the history",
        "The network that you keep is that of the last step. Does your number belong to that network?",
        "The best of ten looks is partly luck. Which row of the history is about the finished network?",
    ),
    "not a name": (
        "the name of one recipe",
        "What does your last line give: a name, a number, a position, or a row?",
        "max gives the highest value; which method of a pandas.Series gives where it stands?",
    ),
    "chosen by the test": (
        "the choice that the validation images make",
        "Which column did you choose by? The test images are for the one number at the very end.",
        "If the test images choose, the test accuracy of the choice is too good: it was picked because it is high.",
    ),
    "the luckiest run": (
        "the recipe whose mean over the seeds is highest",
        "The highest single number in the table may be one lucky draw. How do several runs of a recipe become one number?",
        "groupby puts the runs of a recipe together; what do you take of each group?",
    ),
    "the worst": (
        "the highest validation accuracy",
        "Are higher numbers better, or lower ones? This column holds accuracies.",
        "Sorted upwards, the best stands last.",
    ),
    "another choice": (
        "the recipe whose mean validation accuracy is highest",
        "Work it out by hand for the table that the check shows: which mean is highest?",
        "Does your code depend on the order of the rows, or on the names?",
    ),
    # class_map
    "layers left out": (
        "feature maps made by all layers before the average",
        "The layer that complains expects what the layers *before* it make. What did you hand it?",
        "An image goes through the layers in order, from conv1 on. How can you call all but the last two?",
    ),
    "averaged away": (
        "a value for each place",
        "The places are gone: there is one value for each image. Which layer averages over them?",
        "Stop before `avgpool`: it is the last but one, `fc` the last.",
    ),
    "bias added": (
        "the mean of the map is the logit *without* its bias",
        "Your map is right but for one constant. What of the head belongs to no place?",
        "The bias is the same whatever the picture shows: leave it out of the map.",
    ),
    "training mode": (
        "a map made in evaluation mode, and a network that is left as it was",
        "In training mode BatchNorm looks at the other images of the batch, and remembers them. What does a map then depend on?",
        "One call puts a network into evaluation mode. The parts share their layers with the whole.",
    ),
    "needs gradients": (
        "a map that a frozen network can give, without gradients",
        "Nothing before the head has gradients here. What else says how much a channel counts for a class?",
        "The head is one linear layer: its weights are the derivatives of the logits, and they are there for the taking.",
    ),
    "another class": (
        "the evidence for the class that is asked for",
        "The head has a row of weights for each class. Which row do you take?",
        "Try two labels on the same images: do the maps differ, and does each belong to its label?",
    ),
    "head left out": (
        "the channels weighed by the head's weights",
        "The mean over the channels says where *something* is. What says how much each channel counts for this class?",
        "fc.weight has a row for each class and a column for each channel.",
    ),
    "negative evidence lost": (
        "evidence against the class, too: values below zero",
        "Some places speak against the class. Where did they go?",
        "Leave out relu, clamp and abs: the head's weights have signs, and the logit is the sum of both kinds.",
    ),
    "not the logit": (
        "mean of the map + bias of the class = logit of the class",
        "If a map shows all the evidence there is, what must its parts add up to?",
        "No scaling, no softmax: the head is linear, so the average of the places goes through it term by term.",
    ),
    # most_confused
    "not two names": (
        "two names of classes",
        "What do you return: positions or names? And how many?",
        "classes[i] is the name of the class i.",
    ),
    "the diagonal": (
        "two different species",
        "The largest counts of a good network are its right answers. Where in the matrix are they?",
        "Set the diagonal to zero before you look for the largest.",
    ),
    "one direction": (
        "the pair with the most mistakes in both directions together",
        "A taken for B, and B taken for A: both mean that the network cannot tell the two apart.",
        "A matrix plus its transpose has both directions in one cell.",
    ),
    "shares of answers": (
        "counts of images",
        "What did you divide by? A rare answer has a large share of few images.",
        "Take the counts as they are: every species has its own number of images, and a mistake is a mistake.",
    ),
    "another pair": (
        "the pair that is confused most often",
        "Make the matrix for the check's small example by hand: rows the truth, columns the answer.",
        "argmax of a matrix counts through all cells: divmod by the number of classes gives row and column.",
    ),
}

found = found_in(FINDINGS | STRANGER_FINDINGS)


def tried(words: dict[str, str], function, *args):
    """What a student's function returns; an exception whose message has one of the words is the finding of that name."""
    try:
        return answer_of(function, *args)
    except Finding:
        raise
    except Exception as error:
        for part, name in words.items():
            if part in f"{type(error).__name__}: {error}":
                raise found(name, explain(error)["seen"]) from None
        raise

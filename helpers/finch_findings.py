"""What answers of lab 2 do wrong: what was expected in its place, and two hints for each."""

from helpers.findings import Finding

# name: (what was expected, first hint, second hint)
FINDINGS = {
    # runs_of
    "another fit": (
        "calls of the function `fit` that is handed in",
        "The last argument is the function that trains. In the check it only notes what it is asked for.",
        "Inside runs_of write fit(...), not h.fit(...): then anybody can say what trains.",
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
    "not three numbers": (
        "share, low, high",
        "wilson returns two numbers; the share comes before them.",
        "return share, low, high: three numbers in one line.",
    ),
    "logits are no probabilities": (
        "the share of images with a *probability* above the level",
        "A logit of 5 is not a probability of 5. What makes probabilities of logits?",
        "The probabilities of one image add up to 1. Do yours?",
    ),
    "softmax over the images": (
        "probabilities that add up to 1 for each image",
        "Along which axis do the classes lie?",
        "softmax(1) normalises each row, softmax(0) each column. What is a row here?",
    ),
    "mean confidence": (
        "the share of images above the level",
        "A mean of 0.9 may come of many at 0.8 and many at 1.0. How many are above the level?",
        "Compare each confidence with the level first; then take the mean of the yes and no.",
    ),
    "classes one by one": (
        "one probability an image: that of the answer",
        "A network answers with its likeliest class. Do you count images, or all classes of all images?",
        "softmax (as opposed to sigmoid) lets classes compete; then take the largest of each row.",
    ),
    "another interval": (
        "the interval of wilson for that share of that many images",
        "Of how many is it a share? Images, or images times classes?",
        "help(wilson) says what the two arguments are, and which comes first.",
    ),
    "keeps too few": (
        "a threshold that keeps the share asked for",
        "It refuses more validation images than it may. Which end of the sorted confidences is to be cut off?",
        "To keep 95 of 100, the 5 least sure are refused: which quantile lies there?",
    ),
    "keeps too many": (
        "as high a threshold as the share allows",
        "It refuses fewer validation images than it may, and so lets more strangers in.",
        "Sort the confidences: between which two of them does the threshold have to lie?",
    ),
    "does not listen": (
        "a threshold that follows from the confidences and the share",
        "Another share was asked for, and your threshold stayed the same.",
        "Which of the two arguments does your code not use?",
    ),
    "the wrong way round": (
        "1.0 where every known image has the higher score",
        "Which of the two groups should have the label 1: the one with high scores, or the other?",
        "An area below 0.5 is worse than chance: something stands on its head.",
    ),
    "at one threshold": (
        "the area under the whole curve",
        "Your number depends on where one threshold lies. The area is about all of them.",
        "It is the share of pairs, one known and one unknown, in which the known one has the higher score.",
    ),
    "ties": (
        "half a point for a pair with equal scores",
        "What do you count where both have the same score?",
        "If all scores are equal, nothing is told apart: what should the area be then?",
    ),
    "another area": (
        "the area under the ROC curve",
        "torchmetrics wants one vector of scores and one of labels, in the same order. Print both.",
        "Are there as many ones as known images and as many zeros as unknown ones?",
    ),
    # fit_temperature
    "upside down": (
        "the number to *divide* the logits by",
        "Where logits are twice as large as they should be, the temperature is 2. Yours is one half.",
        "Do you multiply or divide in your loss? And what do you return?",
    ),
    "not the lowest": (
        "the temperature with the lowest cross-entropy on these images",
        "A temperature near yours gives a lower loss. Has the search ended, or was it cut off?",
        "More steps, or a larger rate; or a fine grid of temperatures, from 0.05 to 20, on a logarithmic scale.",
    ),
    "not moved": (
        "another number than the one that the search began with",
        "Your temperature is still what it was at the start. Does the loss depend on it? Does accuracy?",
        "Dividing by a number changes no answer, so the accuracy is flat. The cross-entropy is not.",
    ),
    "negative": (
        "a temperature above zero",
        "A negative number turns the order of the classes round.",
        "Search for the logarithm of the temperature: exp() of anything is positive.",
    ),
    "softmax twice": (
        "the cross-entropy of logits / temperature",
        "F.cross_entropy applies the softmax itself. What do you hand it?",
        "Divide the logits, not the probabilities.",
    ),
    # calibration_error
    "the largest gap": (
        "the *expected* error: the mean over the bins, weighted by their images",
        "There are several norms for the gaps. Yours takes the worst bin, or squares.",
        "help(multiclass_calibration_error): what does norm stand for, and which is the mean of absolute gaps?",
    ),
    "one bin": (
        "15 bins of confidence",
        "Too sure on some images and too little on others cancel out if you take all together.",
        "Bins keep them apart: n_bins.",
    ),
    "not an error": (
        "how far confidence and accuracy are apart, 0 at best",
        "Your number grows as the network gets better. An error should fall.",
        "Accuracy and confidence are ingredients. What of the two does the error take?",
    ),
    "another error": (
        "the mean over 15 bins of |accuracy - mean confidence|, weighted by their images",
        "torchmetrics has it: probabilities (N, classes), labels (N,), the number of classes, and n_bins=15.",
        "Is it a share from 0 to 1? Are all images in, or only one class?",
    ),
}


def found(name: str, seen: str) -> Finding:
    """The finding of that name, with what was seen in this answer."""
    expected, *hints = FINDINGS[name]
    return Finding(name, seen=seen, expected=expected, hints=tuple(hints))

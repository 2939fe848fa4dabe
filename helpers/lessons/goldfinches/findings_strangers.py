"""What answers of lab 2 do wrong in its last section; see `_findings_lab2`."""

# name: (what was expected, first hint, second hint)
STRANGER_FINDINGS = {
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
    "two vectors of one length": (
        "one vector of scores for all images, and one of labels as long as that",
        "binary_auroc compares scores with the truth. Which of your two arguments is the truth?",
        "torch.cat puts the known and the unknown scores in a row; then say for each of them which it is.",
    ),
    "labels are whole numbers": (
        "labels of type int, 1 and 0",
        "torch.ones and torch.zeros make floats. What do labels have to be?",
        ".int() or .long() makes whole numbers of them.",
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
    "answers, not probabilities": (
        "probabilities (N, classes)",
        "The error is about how sure the network is. Does argmax still know that?",
        "softmax(1) gives a row of probabilities for each image; hand over all of it.",
    ),
    "the error rate": (
        "how far confidence and accuracy are apart",
        "That is the share of wrong answers. A network may be wrong often and say so: what would its calibration error be?",
        "Where does your code ask how sure the network was?",
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

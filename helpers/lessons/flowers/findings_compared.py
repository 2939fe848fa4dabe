"""What the checks of the second half of lab 1 say, in the form of `_findings_lab1.py`: comparing, and the contest."""

SAYS = {
    # two recipes
    "not two recipes": (
        "two recipes: the control, then the transfer",
        "What stands behind your return, and how many things are it?",
        "replace(recipe, ...) gives a new recipe and leaves the old one as it was. Return both.",
    ),
    "the other way round": (
        "the control first, the transfer second",
        "Both recipes are there. In which order does the docstring ask for them?",
        "The first of the two is the baseline: what the other one is measured against.",
    ),
    "nothing differs": (
        "a control in which nothing is learnt beforehand",
        "h.diff of your two recipes shows the name only. In what is the control to differ?",
        "Look through help(h.Recipe): one setting says which stages come from the source.",
    ),
    "part is copied": (
        "a control that takes no stage from the source",
        "Some stages of your control still come from the source. Which place lies before all stages?",
        "`copied` names the first stage that is *not* taken over, as `upto` names the first that is not frozen.",
    ),
    "random weights frozen": (
        "a control with the same frozen stages, of which none is copied from the source",
        "weights=None is for networks that train as a whole. Here the random stages are to stay as they are, on purpose.",
        "Another setting says which stages come from the source, and it can be none of them. help(h.Recipe) lists all settings.",
    ),
    "more differs": (
        "two recipes that differ in one thing, and in their names",
        "Which of the differences would you blame for the outcome? Have h.diff list them.",
        "Start the control from the other recipe, and replace in it nothing but what the question is about.",
    ),
    "another name": (
        'the control is called "random features"',
        "Tables and figures call a recipe by its name, and so does your guess. Which name does the control have?",
        "`name` is a setting like the others: replace changes it, too.",
    ),
    # a paired difference
    "the wrong sign": (
        "above zero where the first network is better",
        "Try it on two images: the first network right on both, the second on none. Which sign do you get?",
        "What is subtracted from what?",
    ),
    "not in points": (
        "a difference in points of a hundred",
        "A network that is right on every image is how many points ahead of one that is never right?",
        "Shares run from 0 to 1, points from 0 to 100. Both numbers that you return are in points.",
    ),
    "not paired": (
        "the interval of the differences, image by image",
        "Both networks were judged on the same images. Where in your computation does an image meet itself?",
        "Subtract first, image by image. What is the spread of those differences?",
    ),
    "spread, not error": (
        "how far the mean may be off, not a single image",
        "Your half width stays the same however many images there are. Should it?",
        "The mean of n values varies less than the values do. By which factor?",
    ),
    "whole width": (
        "half the width of the interval: mean - half to mean + half",
        "Your interval is twice as wide as it should be, or half as wide. What do you return, and what is asked for?",
        "A 95 % interval reaches 1.96 standard errors to each side of the mean.",
    ),
    "not two numbers": (
        "two numbers: the difference, and half the width of its interval",
        "What stands behind your return, and how many things are it?",
        "return a, b gives back both at once.",
    ),
    "another interval": (
        "1.96 standard errors of the mean difference",
        "The difference is right, its interval is not. Which three numbers make it?",
        "The standard deviation of the differences, the number of images, and 1.96: how do they belong together?",
    ),
    # a confusion
    "right answers counted": (
        "two different kinds: what it is, and what it was taken for",
        "Your pair names one kind twice: that is no confusion. What do you do with images that are named rightly?",
        "Count only where prediction and label differ.",
    ),
    "taken the wrong way": (
        "first the truth, then what it was taken for",
        "Both kinds are right. Which of them do the labels name, and which the predictions?",
        "Rows are the truth, columns the predictions. In which order do you read the position off?",
    ),
    "numbers, not names": (
        "the names of the two kinds",
        "You return positions. Which list turns a position into a name?",
        "A tensor with one number in it is not yet an index of a list: int(...) makes one of it.",
    ),
    "not three things": (
        "three things: the kind it is, the kind it was taken for, and how often",
        "What stands behind your return, and how many things are it?",
        "return a, b, c gives back all three at once.",
    ),
    "not the most frequent": (
        "the pair that happens most often",
        "There are pairs that happen more often than yours. How do you find the largest count?",
        "Count every pair before you choose. Where do the counts of a pair come together in your code?",
    ),
    "another count": (
        "how often just this pair happened",
        "The pair is right, the number is not. What does it count?",
        "Only images with this label AND this prediction belong to it.",
    ),
    # the contest
    "more pictures": (
        "a classifier from the pictures that the function is given",
        "Your function draws or opens further pictures. Everybody has the same few labels here.",
        "task.train, task.val and task.classes are all that it takes. What else does your function ask for?",
    ),
    "too slow": (
        "a classifier within the time",
        "Which part takes the time? Print the seconds after each training.",
        "Fewer steps, fewer candidates, or a part that is computed once and kept: which costs you least?",
    ),
    "no preprocessing": (
        "something that takes raw pictures: a Classifier, or a function of uint8 images",
        "You return a bare network. Who is to prepare the pictures for it?",
        "A network, its preprocessing and its classes belong together. What in a Fit holds all three?",
    ),
    "no classifier": (
        "a Classifier, a Fit, or a function that turns images into logits",
        "What does your function return, and can one show it a picture?",
        "h.fit gives a Fit; its attribute classifier is one. An accuracy is a number about it.",
    ),
    "wrong classes": (
        "a number for each class of the task",
        "Your classifier answers in other classes than those asked for. Which head has it?",
        "How many rows has the weight of its last layer, and how many classes has the task?",
    ),
    "depends on its neighbours": (
        "the same answer for a picture, whichever pictures are shown with it",
        "A picture gets one answer alone and another in a batch. Which layers look at the whole batch, and when?",
        "In which mode is the network when it predicts?",
    ),
    "no better than chance": (
        "better than guessing",
        "Is this the network that you trained? And does it see the pictures as it did in training?",
        "Look at its accuracy on task.val, inside your function, before you return it.",
    ),
    "behind the plain recipe": (
        "at least as good as feature extraction, as far as these pictures can tell",
        "Twenty labels a class are few. How many of your network's weights were learnt from them alone?",
        "Let the plainest transfer run first, look at its validation accuracy, and only then try to beat it.",
    ),
}

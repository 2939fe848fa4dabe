"""What the checks of the bug museum say, from the fifth room on: see _findings_lab4.py."""

LATER = {
    # room 5
    "rounding forgotten": (
        "the share was rounded before it was printed: take that into account",
        "65 of 75 is 0.8666..., printed as 0.8667. What is 0.8667 * 75?",
        "Ask the other way round: which shares are there for n images, and how would each be printed?",
    ),
    "accepts too much": (
        "only what a whole number of right answers gives, rounded to four decimals",
        "How far from k / n may a printed share lie if it was rounded to four decimals?",
        "Round k / n to four decimals, then compare. No other tolerance is needed.",
    ),
    "ends left out": (
        "none right and all right are possible, too",
        "Which numbers of right answers can there be among n images? Begin with the smallest.",
        "range(1, n) stops before n and does not hold 0.",
    ),
    "no verdict": (
        "True or False",
        "What does your function return: a verdict, or the number that it is made from?",
        "A comparison such as `a == b` is True or False.",
    ),
    "mean of batch accuracies": (
        "every image counts the same, whatever batch it is in",
        "An image in a short batch counts more than one in a full batch here. What is averaged?",
        "Add up what was right and how many there were, over all batches; divide once, at the end.",
    ),
    "images left out": (
        "the last, short batch counts as well",
        "How many images do you divide by? How many are there?",
        "Does anything in your loop pass over a batch because of its length?",
    ),
    "wrong divisor": (
        "divided by the number of images",
        "Print what you divide by. And how many images are there in the three batches?",
        "len(labels) of each batch says how many were in it.",
    ),
    "another share": (
        "the share of all images whose largest logit is the one of their label",
        "Count by hand for the first batch: (logits.argmax(1) == labels).sum().",
        "Print what you add up after each batch, and what you divide by.",
    ),
    # room 6
    "variants missing": (
        "a dict with an entry for each variant, under its own name",
        "Which names does the dict `backbones` have, and which does yours?",
        "{name: ... for name, backbone in backbones.items()} has the same names.",
    ),
    "raw pixels": (
        "each variant gets its images as its weights were trained with",
        "One of the variants sees other numbers than its first layer was made for. Which, and who decided that?",
        "Is there an `if` in your code that knows a variant by its name? The rule should be one for all.",
    ),
    "another's statistics": (
        "each variant gets its images as its own weights were trained with",
        "Whose mean and std are used for this variant? They were those of the images of another network.",
        "Preprocessing belongs to the weights. Each backbone brings its own: normalise.",
    ),
    "the batch's own statistics": (
        "an image is prepared in the same way, whoever comes with it",
        "Prepare one image alone, then with others: it looks different. Where do mean and std come from?",
        "Mean and std are those of the source's training images. The backbone knows them.",
    ),
    "other images": (
        "all variants see the same picture: as large, as cropped, as turned",
        "Lay the same picture, as two variants get it, side by side. Is it the same crop?",
        "Cropping, flipping and colours are not part of what is compared: leave them out, for all.",
    ),
    # room 7
    "not a pair": (
        "the model and its optimizer: return model, optimizer",
        "What does the last line return, and in which order?",
        "The optimizer is an object such as torch.optim.AdamW(...), with param_groups.",
    ),
    "head not in the optimizer": (
        "a step of the optimizer changes the head",
        "The head gets gradients, and nobody uses them. Which tensors did the optimizer get, and when?",
        "The optimizer keeps the tensors that there were when it was made. The head came when?",
    ),
    "backbone missing": (
        "the optimizer has everything that has requires_grad, not the head alone",
        "Which parameters does the optimizer hold? Count them.",
        "What is frozen is not this function's business: it hands over all that has requires_grad.",
    ),
    "stale parameters": (
        "the optimizer has the parameters of this model, and no others",
        "The optimizer holds tensors that no longer belong to the network. Where do they come from?",
        "Adding the new head does not take out the old one. What if the optimizer were made later?",
    ),
    "another rate": (
        "the rate that the function is given",
        "Which learning rate do the param_groups of your optimizer have?",
        "An optimizer takes a rate of its own if it is not told one.",
    ),
    # room 8
    "not a schedule": (
        "a schedule from torch.optim.lr_scheduler, made for the optimizer that is given",
        "What does your function return? It should have a method step().",
        "torch.optim.lr_scheduler.OneCycleLR(optimizer, ...) is such an object.",
    ),
    "rates overwritten": (
        "each group rises to its own rate",
        "Before, the groups had three rates; now they have one. Which argument is one number for all?",
        "max_lr may be a list: one peak for each group. Where do the groups keep their rates?",
    ),
    "rates written down": (
        "as many peaks as the optimizer has groups",
        "Your peaks are for another number of groups. How does your function know how many there are?",
        "Do not write numbers down: the optimizer that you are given knows its groups and their rates.",
    ),
    "ends too early": (
        "a cycle that lasts as long as the training",
        "The schedule was over before the last step. How many steps did you promise it?",
        "total_steps is the number of times that step() will be called: the second argument of your function.",
    ),
    "rates swapped": (
        "each group rises to its own rate",
        "The right rates, in the hands of the wrong groups. In which order does the optimizer have its groups?",
        "optimizer.param_groups is a list: go through it once, in its own order.",
    ),
    "another peak": (
        "the highest rate of a group is the rate that it was given",
        "The ratio between the groups is kept, the height is not. By what did you multiply or divide?",
        "OneCycleLR begins below max_lr by itself: give it the rates as they are.",
    ),
    "no cycle": (
        "the rates rise, then fall",
        "Print the rate of one group after each step. It should look like a hill.",
        "Keep the one cycle; what is to be mended is only its height, group by group.",
    ),
    "does not come down": (
        "at the last step the rates are near zero",
        "How long is the cycle, and how many steps are there?",
        "total_steps is the number of steps of the optimizer, not of epochs or images.",
    ),
    # the last room
    "head never trained": (
        "more steps change all of the head",
        "After one step and after three the head is the same. Who should move it, and was it there when that was made?",
        "Compare the order of the lines with room 7.",
    ),
    "frozen part lives": (
        "before layer4 nothing changes, not even a buffer",
        "No parameter before layer4 has moved, but something has. You have seen this in room 1.",
        "In which mode are the frozen stages during training? model.train() is called for them as well.",
    ),
    "another accuracy": (
        "the share of all test images that the returned model names rightly, in evaluation mode",
        "Judge the model that you return yourself, as in room 2. What differs?",
        "Is the model in evaluation mode while it is judged? Is every test image counted once?",
    ),
}

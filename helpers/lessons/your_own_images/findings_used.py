"""What the checks of lab 3 say of saving, answering uploads and exporting: what was expected, and two hints."""

SAYS = {
    # saving
    "nothing saved": (
        "a file at the path that was given",
        "Does a line of yours write anything?",
        "save_file takes three things: what, where, and what is to be known about it.",
    ),
    "a pickle": (
        "a safetensors file, which can hold no code",
        "Whoever loads such a file runs whatever is in it. Which format holds numbers and texts only?",
        "`save_file` is imported at the top of this section.",
    ),
    "buffers missing": (
        "all tensors of the network, with the running averages of BatchNorm",
        "Load the file into a new network and compare its answers: they differ. Which tensors are no parameters?",
        "parameters() leaves out what is not trained but counted. state_dict() has all.",
    ),
    "other numbers": (
        "each tensor as it is in the network",
        "Compare a tensor of your file with the network's, number by number.",
        "Nothing is to be rounded or converted: what is saved is what answers later.",
    ),
    "classes lost": (
        "the names of the classes, as a JSON list under 'classes'",
        "The network says 0 and 1. Who tells the next person what that means?",
        "Metadata are texts: json.dumps makes one of a list.",
    ),
    "no texts": (
        "a text for each entry of the metadata",
        "Metadata hold texts only, and yours hold a list, a tuple or a number.",
        "json.dumps makes a text of any of these, and json.loads makes it whole again.",
    ),
    "not JSON": (
        "the classes in JSON, which programs in any language can read",
        "Python's own way to write a list looks much like JSON. Look at the quotes.",
        "Use json.dumps where you have str: then json.loads gives the list back.",
    ),
    "classes in another order": (
        "the classes in the order that was given",
        "Nothing fails, and each answer has the wrong name. What is the first logit about, before and after?",
        "Their order is that of the logits. Do not sort them.",
    ),
    "preprocessing lost": (
        "'mean', 'std' and 'size' in the metadata, as JSON",
        "The network was trained on normalised pixels. Where will the next person get the numbers from?",
        "Whatever stands between a picture and the network belongs to the file: three entries more.",
    ),
    # answering
    "no text": (
        "a text to show",
        "What type does your function return? It is shown to a person.",
        'An f-string makes a text: f"{name} ({probability:.0%})".',
    ),
    "bytes, not a file": (
        "predict is given a path or an open file",
        "An upload comes as bytes, without a path. predict wants something that it can read like a file.",
        "`io.BytesIO(content)` is an open file in memory.",
    ),
    "class not named": (
        "the likeliest class in the answer",
        "predict gives a dictionary, the likeliest class first. What of it does your answer say?",
        "`next(iter(probabilities))` is a dictionary's first key.",
    ),
    "lies on its side": (
        "the picture turned upright, as its EXIF data say",
        "Phones store a picture as the sensor saw it, and note how it was held. Who reads the note?",
        "Give the file to predict as it is (io.BytesIO makes a file of bytes): it reads the note.",
    ),
    "another preprocessing": (
        "the picture as it was in training: its central square, resized",
        "What was done to the training pictures before the network saw them? And to this one?",
        "predict takes an open file and does all of it. A tensor or a squeezed picture is no longer the file.",
    ),
    "falls over": (
        "a message, where the upload is no picture",
        "Somebody will upload a text. Which exception did you see, and who should catch it?",
        "`try:` the prediction, and return a text in `except ValueError as error:`.",
    ),
    "names what is no picture": (
        "a message that says what is wrong, not a class",
        "A file without a picture in it got a class. Where does your answer come from in that case?",
        "When reading fails there is nothing to predict: return from the `except` branch.",
    ),
    "no reason": (
        "a message that says why there is no answer",
        "What would help the person who uploaded the wrong file? The exception knows more than your message.",
        "Put the exception's text into yours: `except ValueError as error:` and `{error}`.",
    ),
    # pixels in
    "not scaled": (
        "pixels from 0 to 255 scaled to 0..1 before they are normalised",
        "mean and std are those of pixels from 0 to 1. What are yours?",
        "What is 255 to become?",
    ),
    "not normalised": (
        "pixels normalised with mean and std",
        "The network was trained on normalised pixels. Which step is missing?",
        "Subtract self.mean, divide by self.std.",
    ),
    "other order": (
        "first the mean is subtracted, then it is divided by std",
        "Work it out for one pixel, by hand and by your code. In which order does Python calculate?",
        "A minus b divided by c: which is done first, without brackets?",
    ),
    "probabilities": (
        "logits, as the network gives them",
        "Your outputs add up to 1. Who else will take the softmax?",
        "Return what the network returns.",
    ),
    "other answers": (
        "the logits that the network gives for these pixels",
        "Compare your forward with `normalise` of helpers/sources/backbones.py, step by step.",
        "images.float(), divided by 255, minus the mean, divided by std, and then through the network.",
    ),
}

"""What the checks of lab 3 say: for each finding what was expected, and two hints that lead on."""

from helpers.lessons.your_own_images.findings_used import SAYS
from helpers.notebook.findings import found_in

_SAYS = {
    # counting
    "no dictionary": (
        "a dictionary: the name of each class folder and the number of its images",
        "One total says nothing about the balance of the classes. What is counted for what?",
        "Begin with `counts = {}`, and put one entry into it for each class folder.",
    ),
    "plain folder miscounted": (
        "the number of images in each class folder",
        "Try your function on a folder with two or three files that you know, and print what it goes through.",
        "The outer loop goes through the folders, the inner one through the files of one of them.",
    ),
    "not a class": (
        "a key for each class folder, and no other",
        "Not everything in the folder is a folder. What did your function take for a class?",
        "A path has a method that says whether it is a folder.",
    ),
    "files that are no images": (
        "files of images only",
        "Systems leave files of their own in every folder, and people leave notes. What is the same in all names of images?",
        "`file.suffix` is a name's ending; ENDINGS has those that count.",
    ),
    "hidden files": (
        "no file whose name begins with a dot: macOS writes one beside each picture, with the same ending and no picture in it",
        "Look at the names of all files that you counted, one by one. Which did no camera write?",
        "What does the name (`file.name`) of a hidden file begin with?",
    ),
    "capital endings": (
        ".JPG counts as much as .jpg",
        "Cameras shout: look at the endings in the folder. Are two texts equal that differ in capitals?",
        "Texts have a method that makes all letters small.",
    ),
    "folder in a folder": (
        "images in a folder within a class folder count for that class",
        "Somebody sent pictures in a folder of their own. How deep does your function look?",
        '`folder.iterdir()` looks at one level; `folder.rglob("*")` at all levels below.',
    ),
    # the number to beat
    "a count": (
        "a share of all images, from 0 to 1",
        "How many answers would be right? And out of how many?",
        "Divide by the number of all images.",
    ),
    "one in so many classes": (
        "the share that is right when the answer is always the most frequent class",
        "That is what guessing at random gives. Can one do better without looking at a picture, if the classes are uneven?",
        "Which answer would you give, if you had to give the same one each time? How often would it be right?",
    ),
    "the smallest class": (
        "the share of the most frequent class",
        "Always giving that answer would be wrong most of the time. Which answer is better?",
        "Compare the counts: which of them do you want, the least or the greatest?",
    ),
    "another share": (
        "the most frequent class's images, divided by all images",
        "Work it out by hand for 30 cats and 10 dogs, then print what your function makes of them.",
        "What stands above the line of the fraction, and what below it? All classes count below.",
    ),
    # files that can't be opened
    "judged by its name": (
        "a file of text among the files that cannot be opened, whatever its name ends in",
        "An ending is a promise. Who looks into the file?",
        "Let Pillow open each file, and see what happens with those that are no pictures.",
    ),
    "not decoded": (
        "the file that was cut off among those that cannot be opened",
        "Image.open reads the head of a file only. When is the rest read, and the damage found?",
        "Which method of an opened image makes Pillow read all pixels? (verify() does not decode them.)",
    ),
    "good files refused": (
        "no file that can be opened",
        "Look at such a file with your own eyes: it is fine. Why does your function think otherwise?",
        "PNG files are often called .jpg, and pictures may be grey or have a palette: all of these can be used.",
    ),
    "not all found": (
        "all of the files that cannot be opened",
        "What happens in your loop after it has found the first one?",
        "Is the list made before the loop, and returned after it?",
    ),
    "stopped by the first": (
        "a list, whatever the files are",
        "That exception is the sign that you are looking for. Who catches it, and what does the loop do then?",
        "`try:` to open and decode the file; in `except`, note the path and go on with the next.",
    ),
    "no list of files": (
        "a list of those of the given paths that cannot be opened",
        "How would you look at the files that your function found, if it does not give them back?",
        "Put the path itself into a list when an exception was raised, and return the list.",
    ),
    # fingerprints
    "not 16 x 16 bits": (
        "16 x 16 values that are True or False",
        "Print the shape and the dtype of what you return.",
        "17 columns have 16 pairs of neighbours. A comparison of two arrays gives an array of True and False.",
    ),
    "nearly all True": (
        "about as many bits True as False",
        "Pixels are whole numbers from 0 to 255 without a sign (uint8). What is 3 - 5 in such numbers? Try it in a new cell.",
        "Compare the two arrays (>) and subtract nothing, or turn them into int first.",
    ),
    "changes with the file": (
        "nearly the same fingerprint for the same picture, made smaller and compressed again",
        "What in your fingerprint comes from the file, and what from what is seen in it?",
        "First shrink the picture to 17 x 16: that throws away just what copies differ in.",
    ),
    "changes with the light": (
        "nearly the same fingerprint for the same picture, somewhat darker",
        "Which of your numbers change when all pixels get darker? Which comparisons do not?",
        "Compare each pixel with its neighbour, not with a fixed number.",
    ),
    "all pictures alike": (
        "fingerprints that differ in about half of their bits, for two pictures that have nothing in common",
        "Print the fingerprints of two different pictures. What is left of the picture in them?",
        "Are bright and dark lost on the way? A picture has to be grey, with numbers from 0 to 255, when it is compared.",
    ),
    "another fingerprint": (
        "True where a pixel is less bright than its neighbour on the right",
        "It would find copies; but it is another fingerprint than the one that the next cell holds it against. Which neighbour?",
        "`grey[:, 1:]` are all pixels but those of the first column, `grey[:, :-1]` all but those of the last.",
    ),
    # splitting
    "no two lists": (
        "two lists of files: train, test",
        "What does your function return, and how many things are they?",
        "`return train, test`, both lists of file names, not lists of groups.",
    ),
    "files lost": (
        "each file on one of the sides",
        "Count: how many files go in, and how many come out on both sides together?",
        "Is there a group that neither condition takes?",
    ),
    "on both sides": (
        "no file on both sides",
        "That is the worst leak of all: the very same file to learn from and to be judged by.",
        "Each group goes to the one side or else to the other.",
    ),
    "twins apart": (
        "all files of a group on the same side",
        "What is shuffled and dealt out: files, or groups of files?",
        "Deal out whole groups: `extend` adds all files of one to a list.",
    ),
    "another share on the test side": (
        "about so many files on the test side as were asked for",
        "A group of five files weighs more than one of a single file. What do you count?",
        "Give groups to the test side as long as it has fewer files than it should have.",
    ),
    "not by the seed": (
        "the same split for the same seed, and another for another",
        "Call your function twice with one seed, then with another. What ought to change, and when?",
        "`random.Random(seed)` has dice of its own, which begin anew each time: use its `shuffle` or `sample`.",
    ),
    # the recipe
    "no recipe": (
        "a Recipe",
        "The advice is in words; what trains is a recipe. What leads from one to the other?",
        "RECIPES is a dictionary: the words of the advice (`.first`) are its keys.",
    ),
    "from scratch": (
        "a recipe that starts from the source's weights",
        "With so few labels, what would it learn its features from?",
        "Look at `weights` of your recipe. What does None mean there?",
    ),
    "not as advised": (
        "what the guide says to try first",
        "Does your function ask the guide, or does it know the answer before the question?",
        "`h.first_try(...)` takes the three things that your function was given, in the same order.",
    ),
    "recipe changed": (
        "a new recipe that differs in its source",
        "A recipe is a value, like a number: it does not change. What makes another one of it?",
        "`replace` is imported at the top; it takes a recipe and what is to be different.",
    ),
    "another source": (
        "a recipe that starts from the given source",
        "Print the recipe: which source does it name?",
        "A recipe is a value and cannot be changed. `replace(recipe, source=...)` makes another one.",
    ),
    "live BatchNorm": (
        "what is frozen rests, its BatchNorm layers too",
        "The guide chose what is frozen. Which setting of your recipe lets a part of it move all the same?",
        "Compare your recipe with the guide's: `h.diff(yours, theirs)` shows every difference.",
    ),
    "another preprocessing": (
        "pixels prepared as those were that the source learnt from",
        "The weights are the source's. What else of the source do they need to work?",
        "Compare your recipe with the guide's: `h.diff(yours, theirs)` shows every difference.",
    ),
}

found = found_in(_SAYS | SAYS)

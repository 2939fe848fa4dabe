"""Show a widget, with something to see for readers who have no kernel behind their notebook."""

import sys

VIEW = "application/vnd.jupyter.widget-view+json"


def show_widget(widget, fallback: dict[str, str]) -> None:
    """Display an ipywidgets widget; where it cannot live, the fallback is shown in its place.

    fallback: {"text/html": ..., "text/plain": ...}; a picture as <img alt="..."> in the HTML. tools/execute.py stores the
    fallback alone, because a stored widget without its state shows as an error. Raises ValueError without a fallback.
    """
    from IPython.display import display

    if "text/html" not in fallback:
        raise ValueError('a widget needs a fallback of the kind "text/html"')
    bundle = {VIEW: {"version_major": 2, "version_minor": 0, "model_id": widget.model_id}}
    if "google.colab" in sys.modules:  # where several forms are given, Colab's choice among them is not documented
        bundle["text/plain"] = fallback.get("text/plain", "")
    else:
        bundle |= fallback
    display(bundle, raw=True)

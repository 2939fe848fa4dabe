"""Show a widget, with something to see for readers who have no kernel behind their notebook."""

import sys

VIEW = "application/vnd.jupyter.widget-view+json"


def show_widget(widget, fallback: dict[str, str]) -> None:
    """Display an ipywidgets widget; where it cannot live, the fallback is shown in its place.

    fallback: {"text/html": ..., "text/plain": ...} or with "image/png" (base64). tools/execute.py stores the fallback
    alone, because a stored widget without its state shows as an error.
    """
    from IPython.display import display

    if not fallback.keys() - {"text/plain"}:
        raise ValueError('a widget needs a fallback of another kind than "text/plain", such as "text/html"')
    bundle = {VIEW: {"version_major": 2, "version_minor": 0, "model_id": widget.model_id}}
    if "google.colab" in sys.modules:  # where several forms are given, Colab's choice among them is not documented
        bundle["text/plain"] = fallback.get("text/plain", "")
    else:
        bundle |= fallback
    display(bundle, raw=True)

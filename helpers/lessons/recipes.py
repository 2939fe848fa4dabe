"""The recipes of the studies on drawn images, as they were measured: from "garden", heads trained by AdamW on eight views.

The recipes of `helpers` were chosen later, on ImageNet networks and photographs, and are what a lecture runs live.
"""

from dataclasses import replace

from helpers.training import recipes

SCRATCH = replace(recipes.SCRATCH, source="garden")
FEATURE_EXTRACTION = recipes.Recipe("feature extraction", "garden", upto=-1, lr=1e-2, views=8)
FINE_TUNE_ALL = recipes.Recipe("fine-tune all", "garden")
PROBE_THEN_FINE_TUNE = recipes.Recipe("probe, then fine-tune", "garden", head_steps=100)

"""The miniature world: procedural scenes in COCO's own layout, and pictures to pre-train on.

It lets the whole workflow run, and show its phenomenon, on a machine without COCO, ImageNet or a GPU.
"""

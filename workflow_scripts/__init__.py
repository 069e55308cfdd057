"""Regenerates *Rethinking ImageNet Pre-training* (He, Girshick, Dollár): the code behind the workflow's rules."""

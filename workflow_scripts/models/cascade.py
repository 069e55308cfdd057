"""Cascade R-CNN whose mask head is the last stage's. Importing the module registers it.

The paper's Mask R-CNN version of a cascade adds "a mask head to the last stage" (section 5.1). detectron2's
`CascadeROIHeads` applies it to the last stage's boxes, but teaches it on the proposals of the first.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from detectron2.modeling import ROI_HEADS_REGISTRY
from detectron2.modeling.roi_heads import CascadeROIHeads
from detectron2.modeling.roi_heads.roi_heads import select_foreground_proposals
from detectron2.structures import Instances, pairwise_iou
from torch import Tensor


@ROI_HEADS_REGISTRY.register()
class LastStageMaskROIHeads(CascadeROIHeads):
    """detectron2's cascade; in training its mask head sees the foreground of the last stage's proposals.

    Those are the boxes of the stage before, labelled by the last stage's IoU, each with the mask of its object.
    """

    @torch.no_grad()
    def _match_and_label_boxes(
        self, proposals: list[Instances], stage: int, targets: Sequence[Instances]
    ) -> list[Instances]:
        labelled = super()._match_and_label_boxes(proposals, stage, targets)
        if stage == self.num_cascade_stages - 1 and self.mask_on:
            self._foreground, _ = select_foreground_proposals(labelled, self.num_classes)
            for foreground, truth in zip(self._foreground, targets, strict=True):
                if len(foreground):
                    _, matched = pairwise_iou(truth.gt_boxes, foreground.proposal_boxes).max(dim=0)
                    foreground.gt_masks = truth.gt_masks[matched]
        return labelled

    def _forward_mask(self, features: Mapping[str, Tensor], instances: list[Instances]) -> Any:
        """Losses in training, the given instances with masks in inference: as detectron2's."""
        if self.training and self.mask_on:
            instances = self._foreground
            del self._foreground
        return super()._forward_mask(features, instances)

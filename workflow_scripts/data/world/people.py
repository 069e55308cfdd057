"""People: articulated figures with COCO's 17 keypoints, seen from the front, turned to either side."""

import numpy as np

from workflow_scripts.data.world.vocabulary import Figure, Outlines, Points, capsules, ellipse, hues

KEYPOINTS = (
    *("nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder"),
    *("left_elbow", "right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip"),
    *("left_knee", "right_knee", "left_ankle", "right_ankle"),
)
# COCO's own list: pairs of keypoints, counted from 1.
SKELETON = (
    *((16, 14), (14, 12), (17, 15), (15, 13), (12, 13), (6, 12), (7, 13), (6, 7), (6, 8), (7, 9)),
    *((8, 10), (9, 11), (2, 3), (1, 2), (1, 3), (2, 4), (3, 5), (4, 6), (5, 7)),
)

_SKIN, _SHIRT, _TROUSERS, _HAIR, _EYE, _SHOE = range(1, 7)
_HEAD = np.array([0.0, -0.74])
_HEAD_RADIUS = 0.24


def person(rng: np.random.Generator) -> Figure:
    """A person in a random pose. Their left is on the right of the picture, as in a portrait."""
    turn = rng.uniform(-55, 55)
    face, face_seen = _face(turn)
    left, right = _joints(rng, 1, turn), _joints(rng, -1, turn)
    body = np.stack([left, right], axis=1).reshape(-1, 2)
    points = np.concatenate([face, body])
    visibility = np.where(np.concatenate([face_seen, [True] * len(body)]), 2, 1)
    return Figure(_outlines(points, turn), _colours(rng), keypoints=np.column_stack([points, visibility]))


def _face(turn: float) -> tuple[Points, np.ndarray]:
    """Nose, eyes and ears [5, 2] on a round head turned by `turn` degrees; a far ear is not seen."""
    angles = np.radians(turn + np.array([0, 32, -32, 88, -88]))
    radii = _HEAD_RADIUS * np.array([0.75, 0.75, 0.75, 0.85, 0.85])
    heights = np.array([0.06, -0.02, -0.02, 0.02, 0.02])
    points = np.stack([_HEAD[0] + radii * np.sin(angles), _HEAD[1] + heights], axis=1)
    return points, np.cos(angles) > -0.25


def _joints(rng: np.random.Generator, side: int, turn: float) -> Points:
    """Shoulder, elbow, wrist, hip, knee and ankle [6, 2] of one side (1 left, -1 right) of a turned body."""
    arm, elbow, leg, knee = np.radians(rng.uniform([5, -30, -2, -45], [150, 80, 42, 10]))
    narrow = 0.6 + 0.4 * np.cos(np.radians(turn))

    def reach(origin: Points, angle: float, length: float) -> Points:
        return origin + length * np.array([side * np.sin(angle), np.cos(angle)])

    shoulder = np.array([side * 0.25 * narrow, -0.42])
    hip = np.array([side * 0.14 * narrow, 0.12])
    elbow_point = reach(shoulder, arm, 0.32)
    knee_point = reach(hip, leg, 0.42)
    return np.stack(
        [
            shoulder,
            elbow_point,
            reach(elbow_point, arm + elbow, 0.3),
            hip,
            knee_point,
            reach(knee_point, leg + knee, 0.4),
        ]
    )


Limb = tuple[str, str, float, float, int]

# From one keypoint to another, the radii there, and what covers them. The body from back to front.
_LEG = (("hip", "knee", 0.14, 0.11, _TROUSERS), ("knee", "ankle", 0.11, 0.09, _TROUSERS))
_ARM = (("elbow", "wrist", 0.08, 0.085, _SKIN), ("shoulder", "elbow", 0.11, 0.09, _SHIRT))
_TORSO = (
    ("left_shoulder", "right_shoulder", 0.11, 0.11, _SHIRT),
    ("left_shoulder", "left_hip", 0.11, 0.11, _SHIRT),
    ("right_shoulder", "right_hip", 0.11, 0.11, _SHIRT),
    ("left_shoulder", "right_hip", 0.15, 0.12, _SHIRT),
    ("right_shoulder", "left_hip", 0.15, 0.12, _SHIRT),
)


def _both(limbs: tuple[Limb, ...]) -> list[Limb]:
    return [
        (f"{side}_{start}", f"{side}_{end}", radius, end_radius, fill)
        for side in ("left", "right")
        for start, end, radius, end_radius, fill in limbs
    ]


_LIMBS = [*_both(_LEG), *_TORSO, *_both(_ARM)]
_STARTS = [KEYPOINTS.index(start) for start, *_ in _LIMBS]
_ENDS = [KEYPOINTS.index(end) for _, end, *_ in _LIMBS]
_RADII = np.array([radii for _, _, *radii, _ in _LIMBS])
_FILLS = [fill for *_, fill in _LIMBS]


def _outlines(keypoints: Points, turn: float) -> Outlines:
    limbs = capsules(keypoints[_STARTS], keypoints[_ENDS], _RADII)
    outlines = list(zip(limbs, _FILLS, strict=True))
    x, y = _HEAD
    shift = 0.3 * _HEAD_RADIUS * np.sin(np.radians(turn))
    left_eye, right_eye, left_ankle, right_ankle = keypoints[[1, 2, 15, 16]]
    shoes = [(ellipse(x, y + 0.05, 0.12, 0.08), _SHOE) for x, y in (left_ankle, right_ankle)]
    head = [
        (ellipse(x - shift, y - 0.03, _HEAD_RADIUS, _HEAD_RADIUS), _HAIR),
        (ellipse(x + shift, y + 0.05, _HEAD_RADIUS * 0.86, _HEAD_RADIUS * 0.85), _SKIN),
        *((ellipse(x, y, 0.045, 0.05), _EYE) for x, y in (left_eye, right_eye)),
    ]
    return shoes + outlines + head


def _colours(rng: np.random.Generator) -> np.ndarray:
    tone, age, *tint = rng.uniform([0.45, 0.15, 0.95, 0.95, 0.95], [1.05, 1.2, 1.05, 1.05, 1.05])
    table = np.full((7, 2, 3), 20, dtype=np.uint8)
    table[0] = 0
    table[_SKIN] = np.minimum(np.array([235, 190, 160]) * tone * tint, 255)
    table[_HAIR] = np.array([150, 110, 60]) * age
    table[[_SHIRT, _TROUSERS]] = hues(rng, [[0.35, 1.0, 0.2, 0.95], [0.15, 0.7, 0.1, 0.8]])[:, None]
    return table

# SPDX-License-Identifier: Apache-2.0
"""What a phantom's parameters are drawn from: (low, high) each, uniform. Levels in dB of white, `_depths` in image
depths, `_views` in image widths, `_share` the probability of a feature."""
from dataclasses import dataclass, replace

from .alike_ranges import Hard, LookAlikes

Range = tuple[float, float]


@dataclass(frozen=True)
class Shape:
    """A family of bone surfaces; `share` of the frames that are not empty."""
    share: float
    n_bones: int
    half_views: Range
    rise_depths: Range
    bend: Range
    tilt: Range
    skew: Range
    top_depths: Range
    is_broken: bool = False


@dataclass(frozen=True)
class Bone:
    """Drawn for each bone."""
    level_db: Range = (-6, 6)
    break_at: Range = (-0.5, 0.5)
    break_half: Range = (0.02, 0.1)
    break_step_mm: Range = (-2.5, 2.5)


@dataclass(frozen=True)
class Echo:
    """How bone looks in a frame."""
    band_mm: Range = (0.9, 1.7)
    incidence_power: Range = (0.4, 1.3)
    roughness_db: Range = (1, 5)
    shadow_db: Range = (28, 50)
    penumbra: Range = (0.01, 0.06)
    haze_db: Range = (-32, -15)
    haze_mm: Range = (1.5, 7)
    reverb_db: Range = (-58, -34)


@dataclass(frozen=True)
class Tissue:
    """Layers and textures; three ranges in a row are those of the lower edges of skin, fat and upper muscle."""
    skin_mm: Range = (0.8, 2.2)
    fat_depths: Range = (0.03, 0.16)
    muscle_depths: Range = (0.1, 0.4)
    layer_tilt: tuple[Range, ...] = ((-0.0, 0.0), (-0.06, 0.06), (-0.12, 0.12))
    layer_wave_mm: tuple[Range, ...] = ((0.1, 0.8), (0.2, 1.6), (0.3, 2.4))
    line_db: tuple[Range, ...] = ((-20, -6), (-10, 3), (-18, -1))
    skin_db: Range = (-14, 0)
    fat_db: Range = (-26, -9)
    muscle_db: Range = (-34, -17)
    near_db: Range = (-14, 4)
    near_mm: Range = (0.3, 1)
    near_period_mm: Range = (0.5, 1.1)
    fibre_angle: tuple[Range, ...] = ((-0.45, 0.45), (-0.6, 0.6))
    fibre: Range = (0.3, 1)
    septa: Range = (0.5, 4)
    septa_mm: Range = (2.5, 6)


@dataclass(frozen=True)
class Scanner:
    """The settings of the machine and how the probe is held; two ranges in a row are left and right."""
    depth_mm: Range = (35, 65)
    loss_db: Range = (10, 55)
    ripple_db: Range = (0, 3)
    sigma_axial_mm: Range = (0.05, 0.1)
    sigma_lateral_mm: Range = (0.11, 0.26)
    focus_depths: Range = (0.2, 0.6)
    focus_length_depths: Range = (0.25, 0.6)
    widening: Range = (0.1, 0.8)
    contact_db: tuple[Range, ...] = ((-50, -20), (-50, -20))
    contact_views: tuple[Range, ...] = ((0.05, 0.32), (0.05, 0.32))
    contact_soft_mm: Range = (1, 5)
    noise_db: Range = (-75, -52)
    range_db: Range = (46, 62)
    smoothing: Range = (0.2, 1)
    curve: Range = (0, 0.6)


@dataclass(frozen=True)
class Geometry:
    """A kind of probe; `share` of the frames."""
    name: str
    share: float
    radius_mm: Range = (0, 0)  # of the face; of a flat one half its width
    field_deg: Range = (0, 0)  # angle between the outermost beams, 0 = parallel
    depth_mm: Range = (0, 0)
    is_flat: bool = False
    cover_share: float = 0.0  # of the frames, in which the face's cover rings
    flip_share: float = 0.0  # near side down


LINEAR = (Geometry("linear", 1.0),)


@dataclass(frozen=True)
class Ranges:
    geometries: tuple[Geometry, ...] = LINEAR
    mirror_share: float = 0.0
    screen_share: float = 0.0
    marker_share: float = 0.0
    flow_box_share: float = 0.0
    shapes: tuple[Shape, ...] = (
        Shape(0.15, 1, (0.28, 0.6), (0, 0.03), (2, 3), (-0.25, 0.25), (0.9, 1.1), (0.1, 0.45)),
        Shape(0.25, 1, (0.2, 0.42), (0.08, 0.28), (0.5, 2.5), (-0.15, 0.15), (0.7, 1.3), (0.1, 0.45)),
        Shape(0.32, 1, (0.12, 0.28), (0.25, 0.42), (0.12, 0.6), (-0.2, 0.2), (0.45, 1.4), (0.1, 0.3)),
        Shape(0.13, 1, (0.25, 0.5), (0, 0.12), (1, 3), (-0.15, 0.15), (0.8, 1.2), (0.1, 0.45), is_broken=True),
        Shape(0.15, 2, (0.11, 0.2), (0.05, 0.2), (0.4, 2), (-0.1, 0.1), (0.7, 1.3), (0.1, 0.45)),
    )
    bone: Bone = Bone()
    echo: Echo = Echo()
    tissue: Tissue = Tissue()
    scanner: Scanner = Scanner()
    centre_views: Range = (-0.24, 0.24)
    apart_views: Range = (0.2, 0.28)
    empty_share: float = 0.1
    poor_contact_share: Range = (0.5, 0.3)
    text_share: float = 0.4
    calliper_share: float = 0.2
    scale_share: float = 0.5
    gain_share: float = 0.0
    gain_db: Range = (-15, 15)
    persistence_share: float = 0.0
    look_alikes: LookAlikes | None = None
    hard: Hard | None = None


DOCUMENTED = Ranges()

TRAINING = Ranges(
    shapes=(
        Shape(0.16, 1, (0.12, 0.75), (0, 0.06), (1, 4), (-0.4, 0.4), (0.6, 1.6), (0.06, 0.6)),
        Shape(0.24, 1, (0.1, 0.5), (0.05, 0.35), (0.3, 3), (-0.3, 0.3), (0.5, 1.8), (0.06, 0.55)),
        Shape(0.34, 1, (0.08, 0.42), (0.2, 0.6), (0.05, 0.8), (-0.35, 0.35), (0.35, 2.2), (0.05, 0.4)),
        Shape(0.12, 1, (0.15, 0.6), (0, 0.25), (0.5, 3), (-0.3, 0.3), (0.6, 1.6), (0.06, 0.55), is_broken=True),
        Shape(0.14, 2, (0.07, 0.24), (0.02, 0.35), (0.2, 3), (-0.25, 0.25), (0.5, 1.8), (0.06, 0.5)),
    ),
    bone=Bone(level_db=(-9, 9), break_at=(-0.7, 0.7), break_half=(0.015, 0.16), break_step_mm=(-5, 5)),
    echo=Echo(band_mm=(0.6, 1.9), incidence_power=(0.15, 1.5), roughness_db=(0.5, 8), shadow_db=(20, 60),
              penumbra=(0, 0.1), haze_db=(-45, -10), haze_mm=(0.8, 12), reverb_db=(-70, -28)),
    tissue=Tissue(
        skin_mm=(0.4, 4), fat_depths=(0.01, 0.3), muscle_depths=(0.05, 0.6),
        layer_tilt=((-0.05, 0.05), (-0.15, 0.15), (-0.3, 0.3)),
        layer_wave_mm=((0, 1.5), (0, 3), (0, 5)), line_db=((-30, 0), (-20, 8), (-26, 6)),
        skin_db=(-20, 6), fat_db=(-34, -3), muscle_db=(-42, -10), near_db=(-24, 10), near_mm=(0.2, 2),
        near_period_mm=(0.3, 1.6), fibre_angle=((-0.8, 0.8), (-0.8, 0.8)), fibre=(0, 1.5), septa=(0, 6),
        septa_mm=(1.5, 9)),
    scanner=Scanner(
        depth_mm=(25, 90), loss_db=(0, 70), ripple_db=(0, 6), sigma_axial_mm=(0.04, 0.14),
        sigma_lateral_mm=(0.1, 0.45), focus_depths=(0.05, 0.9), focus_length_depths=(0.2, 1), widening=(0, 1.2),
        contact_db=((-60, -10), (-60, -10)), contact_views=((0.03, 0.45), (0.03, 0.45)), contact_soft_mm=(0.3, 7),
        noise_db=(-85, -47), range_db=(38, 78), smoothing=(0, 1), curve=(-0.4, 0.9)),
    centre_views=(-0.4, 0.4),
    apart_views=(0.15, 0.36),
    empty_share=0.2,
    poor_contact_share=(0.4, 0.4),
    text_share=0.4,
    calliper_share=0.3,
    scale_share=0.4,
)

@dataclass(frozen=True)
class Format:
    """Frames of one size; `share` of the batches."""
    share: float
    height_px: int
    width_px: int
    ranges: Ranges


WIDE = replace(
    TRAINING,
    geometries=(
        Geometry("linear", 0.55, flip_share=0.15),
        Geometry("trapezoid", 0.07, (12, 35), (8, 45), (25, 90), is_flat=True, flip_share=0.15),
        Geometry("curvilinear", 0.16, (30, 70), (45, 80), (60, 200), cover_share=0.3, flip_share=0.15),
        Geometry("small convex", 0.05, (10, 20), (60, 120), (35, 110), cover_share=0.3, flip_share=0.15),
        Geometry("phased", 0.06, (0.1, 3), (60, 95), (60, 180), flip_share=0.15),
        Geometry("endocavity", 0.11, (8, 14), (100, 180), (40, 120), cover_share=0.75, flip_share=0.4),
    ),
    mirror_share=0.5,
    screen_share=0.25,
    marker_share=0.4,
    flow_box_share=0.04,
    scanner=replace(TRAINING.scanner, range_db=(30, 90)),
    empty_share=0.26,
    gain_share=0.4,
    persistence_share=0.12,
    look_alikes=LookAlikes(),
    hard=Hard(),
)


def _more_linear(geometries: tuple[Geometry, ...], linear_share: float) -> tuple[Geometry, ...]:
    """The kinds with another share of the first, the others in proportion."""
    first, *others = geometries
    rest = (1 - linear_share) / (1 - first.share)
    return (replace(first, share=linear_share), *(replace(kind, share=kind.share * rest) for kind in others))


LINEAR_FORMATS = (Format(1.0, 558, 422, TRAINING),)
# A fan or a screen is wider than high, and what a network sees of it depends on that: the detector's input is stretched
# to a square, the segmenter's longer side is 1024 px.
WIDE_FORMATS = (
    Format(0.45, 558, 422, replace(WIDE, geometries=_more_linear(WIDE.geometries, 0.8), screen_share=0.03)),
    Format(0.33, 480, 640, replace(WIDE, geometries=_more_linear(WIDE.geometries, 0.25), screen_share=0.15)),
    Format(0.22, 576, 768, replace(WIDE, geometries=_more_linear(WIDE.geometries, 0.35), screen_share=0.75)),
)

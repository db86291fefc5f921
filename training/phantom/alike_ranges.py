# SPDX-License-Identifier: Apache-2.0
"""What look-alikes and hard bones are drawn from: (low, high) each, uniform. Units as in ranges.py; levels in dB of
white with the loss over depth made up for, as for bone."""
from dataclasses import dataclass

Range = tuple[float, float]

# In the order in which they are laid over each other: grounds, then what lies in them, then the probe itself.
NAMES = ("speckle", "tank", "air", "diaphragm", "pleura", "gas", "fascia", "wires", "needle", "stone", "face")


@dataclass(frozen=True)
class Face:
    """The transducer's cover and its rings, at constant ranges."""
    level_db: Range = (-10, 14)
    thick_mm: Range = (0.15, 3)
    rings: Range = (0, 6)
    ring_mm: Range = (0.4, 3.5)
    ring_thick_mm: Range = (0.08, 0.4)
    fall_db: Range = (2, 14)
    extent: Range = (0.6, 1.6)
    soft: Range = (0.01, 0.3)
    stand_off_mm: Range = (-8, 8)
    clear_db: Range = (-60, -12)


@dataclass(frozen=True)
class Air:
    """No coupling: lines near the face, noise below."""
    level_db: Range = (-8, 14)
    reach_depths: Range = (0.04, 0.5)
    period_mm: tuple[Range, ...] = ((0.25, 1.2), (0.5, 3))
    comb: tuple[Range, ...] = ((0, 1), (0, 1))
    noise_grey: Range = (-0.25, 0.42)


@dataclass(frozen=True)
class Tank:
    """Water and the line of its bottom; or a table's line below a subject."""
    clear_db: Range = (-110, -45)
    cloud_db: Range = (-60, -14)
    bottom_depths: Range = (0.3, 0.98)
    tilt: Range = (-0.1, 0.1)
    bend: Range = (-0.004, 0.004)  # 1/mm
    middle: Range = (-0.5, 0.5)
    half: Range = (0.3, 2.5)
    level_db: Range = (-6, 16)
    thick_mm: Range = (0.25, 2.2)
    edge: Range = (1, 3)
    repeats: Range = (0, 4)
    repeat_mm: Range = (1.5, 9)
    repeat_fall_db: Range = (3, 14)
    fade_db: Range = (0, 30)
    below_db: Range = (-60, -15)
    membrane_db: Range = (-50, -8)
    membrane_depths: Range = (0.1, 0.8)
    membrane_bend: Range = (-0.012, 0.012)  # 1/mm
    water_share: float = 0.75
    water_share_at_bone: float = 0.35
    concentric_share: float = 0.35
    table_depths: float = 0.65


@dataclass(frozen=True)
class Diaphragm:
    depths: Range = (0.35, 0.9)
    radius_mm: Range = (25, 120)
    tilt: Range = (-0.4, 0.4)
    middle: Range = (-0.5, 0.5)
    half: Range = (0.25, 2)
    soft: Range = (0.05, 0.5)
    level_db: Range = (-4, 12)
    thick_mm: Range = (0.4, 1.4)
    edge: Range = (1, 2.5)
    below_db: Range = (-26, -10)
    below_mm: Range = (8, 60)


@dataclass(frozen=True)
class Pleura:
    depths: Range = (0.12, 0.55)
    tilt: Range = (-0.12, 0.12)
    bend: Range = (-0.006, 0.006)
    level_db: Range = (-2, 12)
    thick_mm: Range = (0.12, 0.45)
    a_lines: Range = (1, 5)
    a_fall_db: Range = (3, 14)
    middle: Range = (-0.6, 0.6)
    half: Range = (0.3, 2)
    haze_db: Range = (-50, -14)
    haze_mm: Range = (4, 60)
    beam_db: Range = (-30, -4)
    beam_share: float = 0.3


@dataclass(frozen=True)
class Gas:
    depths: Range = (0.12, 0.75)
    tilt: Range = (-0.4, 0.4)
    ragged_mm: Range = (0.5, 8)
    middle: Range = (-0.9, 0.9)
    half: Range = (0.12, 0.9)
    level_db: Range = (-4, 14)
    thick_mm: Range = (0.25, 1.3)
    haze_db: Range = (-22, -4)
    haze_mm: Range = (5, 50)
    period_mm: Range = (0.7, 4)
    ringing: Range = (0, 0.9)


@dataclass(frozen=True)
class Fascia:
    depths: Range = (0.05, 0.8)
    tilt: Range = (-0.4, 0.4)
    wave_mm: Range = (0, 8)
    middle: Range = (-0.9, 0.9)
    half: Range = (0.2, 2)
    level_db: Range = (-6, 12)
    thick_mm: Range = (0.1, 0.7)
    below_db: Range = (-28, -12)
    below_mm: Range = (4, 30)
    most: int = 4


@dataclass(frozen=True)
class Wires:
    """Up to 30 in rows."""
    top_depths: Range = (0.08, 0.6)
    apart_depths: Range = (0.06, 0.3)
    rows: Range = (1, 5)
    per_row: Range = (1, 8)
    middle: Range = (-0.4, 0.4)
    half: Range = (0.3, 1)
    jitter: Range = (0, 0.45)
    level_db: Range = (-8, 16)
    across_mm: Range = (0.2, 1.3)
    along_mm: Range = (0.1, 0.45)
    slope: Range = (-0.35, 0.35)
    bend: Range = (-0.25, 0.25)
    lobe_db: Range = (-40, -13)
    lobe_mm: Range = (1.5, 7)
    tail_db: Range = (-32, -8)
    tail_mm: Range = (0.3, 4)
    clear_db: Range = (-110, -45)
    water_share: float = 0.6
    speckle_share: float = 0.2


@dataclass(frozen=True)
class Needle:
    entry_depths: Range = (0, 0.3)
    angle: Range = (0.12, 1.15)
    length_views: Range = (0.3, 1.3)
    level_db: Range = (-6, 14)
    thick_mm: Range = (0.08, 0.35)
    copies: Range = (0, 5)
    copy_mm: Range = (0.8, 3.5)
    fall_db: Range = (3, 10)


@dataclass(frozen=True)
class Stone:
    """Narrower than every bone: at most 0.09 of the view, the narrowest bone has 0.092."""
    depths: Range = (0.1, 0.75)
    middle: Range = (-0.9, 0.9)
    half_views: Range = (0.015, 0.045)
    half_mm: Range = (1, 5)
    round: Range = (0.2, 0.9)
    level_db: Range = (-4, 14)
    thick_mm: Range = (0.25, 1.0)
    shadow_db: Range = (22, 60)
    most: int = 3


@dataclass(frozen=True)
class Speckle:
    level_db: Range = (-34, -2)
    tilt_db: Range = (-15, 6)
    target_db: Range = (-45, 16)
    target_mm: Range = (1, 8)
    most: int = 6


@dataclass(frozen=True)
class LookAlikes:
    """Shares of the kinds, in the order of NAMES, and how many a frame has: probabilities of 0, 1, 2, ..."""
    weights: tuple[float, ...] = (0.11, 0.15, 0.06, 0.15, 0.13, 0.09, 0.1, 0.14, 0.07, 0.07, 0.16)
    weights_at_bone: tuple[float, ...] = (0.05, 0.06, 0, 0.06, 0.12, 0.1, 0.18, 0.08, 0.08, 0.1, 0.17)
    numbers: tuple[float, ...] = (0.12, 0.4, 0.3, 0.18)
    numbers_at_bone: tuple[float, ...] = (0.65, 0.24, 0.11)
    face: Face = Face()
    air: Air = Air()
    tank: Tank = Tank()
    diaphragm: Diaphragm = Diaphragm()
    pleura: Pleura = Pleura()
    gas: Gas = Gas()
    fascia: Fascia = Fascia()
    wires: Wires = Wires()
    needle: Needle = Needle()
    stone: Stone = Stone()
    speckle: Speckle = Speckle()


@dataclass(frozen=True)
class Hard:
    """Bones that are hard to see; shares are of the frames with bone."""
    fading_share: float = 0.2
    fade_db: tuple[Range, ...] = ((0, 40), (0, 40))  # at the left and the right end
    fade_power: Range = (1.5, 4)
    thick_share: float = 0.12
    thick: Range = (1.4, 3)  # of the band, at the crest
    thick_views: Range = (0.15, 1)  # of the half width
    thick_db: Range = (-12, 3)
    gaps_share: float = 0.12
    gap_mm: Range = (0.5, 4)
    gap_place: Range = (-0.8, 0.8)
    gap_db: Range = (-60, -18)
    gaps: int = 3
    crossing_share: float = 0.05
    cut_share: float = 0.07
    shallow_share: float = 0.06
    shallow_mm: Range = (1, 5)
    faint_share: float = 0.07
    faint_db: Range = (-24, -6)

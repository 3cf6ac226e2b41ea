"""Tables behind the synthetic cohort: value vocabularies, marginal weights and effects on the risk.

Here: what values a column can take and how often, as rounded aggregates of the UCI file "Diabetes 130-US
Hospitals for Years 1999-2008" (doi 10.24432/C5230J, CC BY 4.0), and the coefficients of the known risk
model. Not here: how patients, stays and outcomes follow from them (see ``synthetic``), and no row of the
source: every number is a share over the whole file or a choice of ours.

A table is written as ``value:weight`` pairs, or ``value:w0/w1/w2`` with one weight per group (age, sex,
length of stay). Weights are relative, so a table need not add up to any particular total.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int16]
Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Columns = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class Table:
    """A vocabulary and, per group, its distribution; draws are codes (positions in the vocabulary)."""

    vocabulary: npt.NDArray[Any]
    weights: Floats  # groups x values

    @classmethod
    def of(cls, text: str, *, integers: bool = False) -> "Table":
        """Read ``value:w0/w1`` pairs; object strings, or int64 when `integers`."""
        pairs = [pair.rsplit(":", 1) for pair in text.split()]
        values = [value for value, _ in pairs]
        weights = np.array([[float(share) for share in shares.split("/")] for _, shares in pairs]).T
        vocabulary = np.array([int(v) for v in values]) if integers else np.array(values, dtype=object)
        return cls(vocabulary, np.ascontiguousarray(weights))

    def reweighted(self, factors: Floats) -> "Table":
        """Return the table with `factors` (groups x values, broadcast) applied to the weights."""
        return Table(self.vocabulary, np.ascontiguousarray(self.weights * factors))

    @cached_property
    def _edges(self) -> Floats:
        """One sorted line of upper edges, group g in [g, g + 1), so that one search serves all groups."""
        cumulative = np.cumsum(self.weights, axis=1)
        return (cumulative / cumulative[:, -1:] + np.arange(len(cumulative))[:, None]).ravel()

    def draw(self, uniform: Floats, group: Integers | int = 0) -> Codes:
        """Invert the distribution of each row's `group` at `uniform` (in [0, 1)); returns int16 codes."""
        size = len(self.vocabulary)
        found = np.searchsorted(self._edges, uniform + group, side="right") - np.asarray(group) * size
        codes: Codes = np.minimum(found, size - 1).astype(np.int16)
        return codes

    def effects(self, effect: Callable[[Any], float]) -> Floats:
        """Return the effect of each value by code; the last entry is 0 and serves -1, missing."""
        return np.array([*(effect(value) for value in self.vocabulary.tolist()), 0.0], dtype=np.float64)


_CHAPTERS = (  # last three-digit category and name; ICD-9-CM, chapters 1 to 17
    *((139, "infectious"), (239, "neoplasm"), (279, "endocrine"), (289, "blood"), (319, "mental")),
    *(
        (389, "nervous"),
        (459, "circulatory"),
        (519, "respiratory"),
        (579, "digestive"),
        (629, "genitourinary"),
    ),
    *((679, "pregnancy"), (709, "skin"), (739, "musculoskeletal"), (759, "congenital"), (779, "perinatal")),
    *((799, "symptoms"), (999, "injury")),
)


def chapter_of(code: str) -> str:
    """ICD-9-CM chapter of a code as the source writes it (no leading zeros); diabetes (250) stands apart."""
    if code[0] in "VE":
        return code[0]
    number = int(float(code))
    if number == 250:
        return "diabetes"
    return next(chapter for last, chapter in _CHAPTERS if number <= last)


# Groups of age used below: 0 under 20, 1 20-39, 2 40-59, 3 60-69, 4 70 and over (from the ten-year band).
AGE_GROUP_OF_BAND = np.array([0, 0, 1, 1, 2, 2, 3, 4, 4, 4])
AGE = Table.of(
    "[0-10):.2 [10-20):.8 [20-30):1.8 [30-40):3.9 [40-50):9.8 [50-60):17.3 [60-70):22.4 [70-80):25.2 "
    "[80-90):16.3 [90-100):2.3"
)
GENDER = Table.of("Female:53.76 Male:46.237 Unknown/Invalid:.003")
RACE = Table.of(  # missing is drawn apart, per patient
    "AfricanAmerican:30/33/26/20/14 Asian:.6/.4/.6/.7/.6 Caucasian:65/60/69/76/83 "
    "Hispanic:3/4.3/2.9/2.2/1.2 Other:1.4/2/1.5/1.5/1.2"
)
WEIGHT = Table.of(
    "[0-25):1.5 [25-50):3 [50-75):28 [75-100):42 [100-125):20 [125-150):4.5 [150-175):1.1 [175-200):.35 >200:.1"
)
ADMISSION_TYPE = Table.of("1:53 2:18.2 3:18.5 4:.01 5:4.7 6:5.2 7:.02 8:.3", integers=True)
ADMISSION_SOURCE = Table.of(  # one weight per admission type, in the order of the line above
    "1:3.1/50/85.8/20/35.6/11.2/0/55 2:.4/2.8/1.7/0/0/.5/0/4.5 3:.1/.1/.5/0/0/.1/0/0 "
    "4:.4/9.9/5.7/50/.1/.8/0/1.5 5:1.1/.7/.6/0/0/.3/0/0 6:3.7/1/.4/0/0/.1/0/0 "
    "7:89.9/33.2/4.9/20/2.7/31/100/39 8:.02/.01/.01/0/0/0/0/0 9:.01/.6/.02/0/0/.02/0/0 "
    "10:.01/.01/.01/0/0/0/0/0 11:0/0/0/5/0/0/0/0 13:0/0/0/2/0/0/0/0 14:0/0/0/3/0/0/0/0 "
    "17:1.2/1.1/.1/0/61.6/55.9/0/0 20:.01/.6/.2/0/0/0/0/0 22:.01/.02/.01/0/0/0/0/0 "
    "25:.002/.002/.01/0/0/0/0/0",
    integers=True,
)
DISPOSITION_BY_AGE = Table.of(  # age groups under 50, 50-70, 70 and over
    "1:73/67/48 2:1.5/2.3/2 3:4.5/7.4/20.5 4:.3/.5/1.2 5:.9/1.1/1.3 6:10/11.9/14.5 7:1.7/.6/.2 8:.1/.1/.1 "
    "9:.02/.02/.02 10:.006/.006/.006 11:.6/1.1/2.3 12:.003/.003/.003 13:.1/.3/.55 14:.03/.2/.6 "
    "15:.06/.06/.06 16:.01/.01/.01 17:.01/.01/.01 18:3.5/3.7/3.6 19:.008/.008/.008 20:.002/.002/.002 "
    "22:.7/1.7/2.6 23:.2/.4/.5 24:.03/.05/.05 25:1.2/1/.9 27:.005/.005/.005 28:.25/.15/.08",
    integers=True,
)
CANNOT_RETURN = (11, 13, 14, 19, 20, 21)  # died or hospice; 21 is in the code book but not in the file
_STAY_FACTORS = {  # a long stay ends less often at home; stays of 1-2, 3-4, 5-7 and 8-14 days
    **dict.fromkeys((3, 4, 5, 22), (0.4, 1.05, 1.4, 1.7)),
    1: (1.28, 1.02, 0.82, 0.62),
    6: (0.55, 0.98, 1.3, 1.5),
    23: (0.3, 0.6, 1.0, 2.8),
    **dict.fromkeys(CANNOT_RETURN, (1.0, 0.8, 1.0, 1.6)),
}
DISCHARGE_DISPOSITION = Table(  # twelve groups: age group * 4 + stay group
    DISPOSITION_BY_AGE.vocabulary,
    np.repeat(DISPOSITION_BY_AGE.weights, 4, axis=0)
    * np.tile(
        np.array([_STAY_FACTORS.get(code, (1.0,) * 4) for code in DISPOSITION_BY_AGE.vocabulary.tolist()]).T,
        (3, 1),
    ),
)
TIME_IN_HOSPITAL = Table.of(
    "1:14 2:16.9 3:17.4 4:13.7 5:9.8 6:7.4 7:5.8 8:4.3 9:2.95 10:2.3 11:1.8 12:1.4 13:1.2 14:1", integers=True
)
NUMBER_DIAGNOSES = Table.of(
    "1:.2 2:1 3:2.8 4:5.4 5:11.2 6:10 7:10.2 8:10.5 9:48.6 10:.02 11:.01 12:.01 13:.02 14:.01 15:.01 16:.04",
    integers=True,
)
NUM_PROCEDURES = Table.of("0:45.8 1:20.4 2:12.5 3:9.3 4:4.1 5:3 6:4.9", integers=True)
# Quantiles: value at the given share of encounters, linear between.
LAB_PROCEDURES = ((0, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 0.9, 0.99, 1), (2, 9, 14, 27, 40, 49, 60, 67, 85, 120))
MEDICATIONS = ((0, 0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 0.999, 1), (1, 3, 7, 10.4, 15, 20, 26, 43, 62, 80))

PAYER_CODE = Table.of(  # per age group
    "BC:18/13/16/10/1.4 CH:1/.2/.3/.4/.1 CM:.5/.7/1.9/3.5/4 CP:10/6/7.7/5.4/1.4 DM:6/4.4/2/.6/.05 "
    "FR:.002/.002/.002/.002/.002 HM:13/17/16.5/11.7/5.5 MC:.5/11/20/47.5/77.5 MD:27/20/10.2/5.1/2 "
    "MP:.1/.1/.15/.15/.12 OG:2/5.5/3.8/1.5/.3 OT:.15/.15/.15/.15/.15 PO:2/2.2/2/1.3/.1 SI:.1/.2/.3/.1/.03 "
    "SP:14/13.5/11.9/8.3/5.4 UN:6/6.3/6.4/4.2/2.3 WC:.1/.4/.6/.2/.03"
)
MEDICAL_SPECIALTY_ADULT = Table.of(
    "InternalMedicine:28.24 Emergency/Trauma:14.6 Family/GeneralPractice:14.36 Cardiology:10.33 "
    "Surgery-General:5.98 Nephrology:3.11 Orthopedics:2.7 Orthopedics-Reconstructive:2.38 Radiologist:2.2 "
    "Pulmonology:1.68 Psychiatry:1.65 Urology:1.32 ObstetricsandGynecology:1.29 "
    "Surgery-Cardiovascular/Thoracic:1.26 Gastroenterology:1.09 Surgery-Vascular:1.03 Surgery-Neuro:.9 "
    "PhysicalMedicineandRehabilitation:.75 Oncology:.67 Pediatrics:.49 Hematology/Oncology:.4 "
    "Neurology:.39 Pediatrics-Endocrinology:.31 Otolaryngology:.24 Endocrinology:.23 Surgery-Thoracic:.21 "
    "Psychology:.19 Podiatry:.19 Surgery-Cardiovascular:.19 Pediatrics-CriticalCare:.17 Hematology:.16 "
    "Gynecology:.11 Hospitalist:.11 Radiology:.1 Surgeon:.09 Surgery-Plastic:.08 Osteopath:.08 "
    "Ophthalmology:.07 InfectiousDiseases:.07 SurgicalSpecialty:.06 Pediatrics-Pulmonology:.05 "
    "Obsterics&Gynecology-GynecologicOnco:.05 Obstetrics:.04 Anesthesiology-Pediatric:.04 Rheumatology:.03 "
    "Pathology:.03 OutreachServices:.02 Anesthesiology:.02 Surgery-Maxillofacial:.02 PhysicianNotFound:.02 "
    "Surgery-Colon&Rectal:.02 Pediatrics-Neurology:.02 Surgery-Pediatric:.02 Endocrinology-Metabolism:.02 "
    "AllergyandImmunology:.01 Psychiatry-Child/Adolescent:.01 Cardiology-Pediatric:.01 DCPTEAM:.01 "
    "Pediatrics-Hematology-Oncology:.01 Dentistry:.01 Pediatrics-AllergyandImmunology:.01 "
    "Pediatrics-EmergencyMedicine:.01 Resident:.002 Surgery-PlasticwithinHeadandNeck:.002 "
    "Psychiatry-Addictive:.002 Pediatrics-InfectiousDiseases:.002 Dermatology:.002 Proctology:.002 "
    "Speech:.002 SportsMedicine:.002 Perinatology:.002 Neurophysiology:.002"
)


def _specialty_factors(value: str) -> tuple[float, float, float, float]:
    """Factors for children, women of 20-39, older women, and men (or unknown) from 20 on."""
    if value.startswith("Pediatrics") or value.endswith(("Pediatric", "Pediatrics")):
        return 100.0, 0.02, 0.3, 0.3
    if value.startswith("Obst"):
        return 0.0, 20.0, 0.5, 0.0
    return (0.3, 1.0, 1.0, 1.0) if value != "Gynecology" else (0.0, 5.0, 1.5, 0.0)


MEDICAL_SPECIALTY = MEDICAL_SPECIALTY_ADULT.reweighted(
    np.array([_specialty_factors(value) for value in MEDICAL_SPECIALTY_ADULT.vocabulary.tolist()]).T
)

# Per mille as diag_1 / diag_2 / diag_3; the rare codes after them stand for the long tail of the file.
_RARE = (
    "5 9 11 42 48 53 78 79 88 110 117 135 150 151 154 155 157 174 182 183 188 189 191 199 203 204 211 218 "
    "220 225 233 238 239 240 241 242 246 251 252 253 255 261 266 271 273 274 275 277 282 283 288 289 290 "
    "291 292 293 297 298 301 307 309 310 312 318 320 327 332 333 334 335 337 340 343 344 345 346 349 350 "
    "351 353 354 355 356 358 359 360 362 365 368 369 372 376 378 379 380 382 386 394 398 405 417 420 421 "
    "423 429 430 432 437 441 442 446 447 448 451 454 455 456 457 459 461 462 464 465 473 474 478 480 481 "
    "483 485 487 490 494 500 501 506 508 510 512 513 514 516 519 521 522 524 527 528 533 534 537 541 542 "
    "543 550 551 553 555 556 564 565 566 567 568 570 573 576 579 580 581 582 583 586 588 594 595 596 601 "
    "603 604 607 608 611 614 616 617 620 621 625 626 627 642 646 649 654 656 658 659 661 664 669 670 674 "
    "680 681 686 690 692 693 694 695 696 698 701 705 709 711 714 716 717 718 719 723 725 726 727 728 731 "
    "735 736 737 738 741 745 746 747 751 753 758 759 782 783 791 792 793 794 795 796 801 802 803 807 808 "
    "810 811 813 815 816 821 822 823 825 831 836 840 844 845 847 850 851 852 853 854 860 861 863 864 865 "
    "867 868 873 879 881 882 883 891 892 893 894 905 907 913 916 917 919 920 921 922 923 924 928 933 934 "
    "935 936 938 940 942 945 952 953 955 958 959 962 963 965 966 967 968 969 970 971 972 973 974 975 976 "
    "977 980 982 983 986 987 989 990 991 992 994"
)
DIAGNOSIS = Table.of(
    """
    8:5/2/2 38:17/5/2 41:0/4/7 70:0/3/3 112:1/2/2 153:3/1/0 162:4/4/2 185:2/0/0 196:0/2/1 197:3/4/4
    198:2/3/2 202:1/2/1 244:0/2/5 250:2/60/115 250.01:1/15/9 250.02:7/20/14 250.03:2/2/1 250.1:3/0/0
    250.11:6/1/0 250.12:4/1/0 250.13:8/1/0 250.2:1/0/0 250.22:2/0/0 250.23:0/0/1 250.4:3/2/4 250.41:1/2/2
    250.42:1/1/1 250.43:0/0/1 250.5:0/1/1 250.51:0/1/1 250.52:0/1/1 250.53:0/0/1 250.6:12/9/11 250.7:9/1/1
    250.8:16/2/3 250.81:2/1/0 250.82:4/2/1 250.83:1/0/0 250.92:0/2/2 263:0/2/2 272:0/4/20 276:19/67/52
    278:4/3/7 280:3/6/4 284:1/2/1 285:4/15/12 287:1/3/4 294:1/2/3 295:4/4/3 296:9/2/2 300:1/1/2 303:1/3/2
    304:0/2/2 305:0/7/9 311:1/1/2 331:2/1/2 342:0/2/2 348:2/1/1 357:0/1/4 396:0/2/2 397:0/1/2 401:3/37/83
    402:4/3/4 403:5/28/24 404:3/2/1 410:36/5/2 411:2/25/4 412:0/1/3 413:1/10/3 414:65/26/36 415:4/1/0
    416:1/1/2 424:2/11/11 425:1/14/11 426:3/3/3 427:27/50/39 428:67/66/46 431:2/0/0 433:8/2/1 434:20/2/1
    435:10/1/1 436:2/0/0 438:1/3/3 440:8/4/2 443:1/1/2 444:2/1/0 453:5/3/2 458:4/1/3 466:2/1/1 482:3/1/1
    486:34/14/6 491:22/15/6 492:0/2/2 493:10/9/7 496:1/33/26 507:6/2/1 511:3/5/4 515:1/2/2 518:11/13/8
    530:5/3/6 531:3/0/0 532:2/0/0 535:4/2/3 536:2/2/3 540:2/0/0 552:2/0/0 557:2/0/0 558:3/1/1 560:9/4/3
    562:10/1/2 569:3/2/1 571:3/4/3 572:2/1/0 574:10/3/1 575:2/1/0 577:10/4/2 578:6/4/2 584:15/16/10
    585:1/18/20 590:3/1/0 591:0/2/1 592:3/1/1 593:1/1/3 599:16/32/19 600:2/0/1 618:2/0/0 648:3/3/1
    682:20/14/9 707:2/20/14 710:0/2/1 715:21/1/2 721:2/1/0 722:8/1/1 724:4/1/2 729:1/1/2 730:2/2/2 733:4/2/2
    780:20/15/13 784:2/2/2 785:1/5/4 786:40/6/6 787:3/2/4 788:0/4/4 789:6/3/3 790:1/2/2 799:1/3/3 805:2/1/0
    812:2/0/0 820:11/0/0 824:3/0/0 995:1/1/3 996:19/4/3 997:4/4/3 998:8/6/3 V09:0/0/1 V10:0/1/2 V12:0/1/2
    V15:0/1/3 V42:0/3/2 V43:0/1/2 V45:0/4/14 V54:0/1/1 V55:1/0/0 V57:12/0/0 V58:2/2/5 V62:0/1/0 V85:0/2/1
    E849:0/0/2 E878:0/1/2 E879:0/0/1 E885:0/1/1 E888:0/1/1 E932:0/0/1 E942:0/0/1 E947:0/0/1
    """
    + " ".join(f"{code}:.32/.22/.26" for code in _RARE.split())
)
DIAGNOSIS_CHAPTER = np.array([chapter_of(code) for code in DIAGNOSIS.vocabulary.tolist()])
_AGE_FACTORS = {  # chapter -> factor under 20, 20-39, 40-59, 60-69, 70 and over
    "diabetes": (9.0, 3.3, 1.25, 0.7, 0.58),
    "circulatory": (0.02, 0.2, 0.87, 1.1, 1.12),
    "pregnancy": (0.6, 17.0, 0.1, 0.0, 0.0),
    "neoplasm": (0.1, 0.25, 0.9, 1.25, 1.1),
    "mental": (1.9, 2.4, 1.7, 0.75, 0.5),
    "skin": (0.8, 1.6, 1.5, 0.85, 0.75),
    "respiratory": (0.6, 0.45, 0.8, 1.0, 1.2),
    "musculoskeletal": (0.1, 0.5, 1.05, 1.25, 0.9),
    "injury": (0.4, 0.7, 0.93, 1.0, 1.1),
}
_PREGNANCY = DIAGNOSIS_CHAPTER == "pregnancy"
_MALE = np.isin(DIAGNOSIS.vocabulary, ["185", "600", "601", "603", "604", "607", "608"])
_FEMALE = _PREGNANCY | np.isin(
    DIAGNOSIS.vocabulary,
    [
        *(
            "174",
            "182",
            "183",
            "218",
            "220",
            "233",
            "614",
            "616",
            "617",
            "618",
            "620",
            "621",
            "625",
            "626",
            "627",
        )
    ],
)


def _diagnosis_at(position: int) -> Table:
    """Table of one diagnosis column with ten groups: age group * 2 + (1 for men)."""
    by_age = np.array([_AGE_FACTORS.get(chapter, (1.0,) * 5) for chapter in DIAGNOSIS_CHAPTER.tolist()]).T
    by_sex = np.array([np.where(_MALE, 0.0, 1.0), np.where(_FEMALE, 0.0, 1.0)])
    factors = (by_age[:, None, :] * by_sex[None, :, :]).reshape(10, -1)
    return Table(DIAGNOSIS.vocabulary, DIAGNOSIS.weights[position] * factors)


DIAGNOSES = tuple(_diagnosis_at(position) for position in range(3))

GLUCOSE = Table.of("Norm:48.6 >200:27.8 >300:23.6 None:0")
A1C = Table.of(">7:22.4 >8:48.3 Norm:29.3 None:0")
DOSES = ("No", "Steady", "Up", "Down")
DRUGS: dict[str, tuple[float, float, float]] = {  # share of encounters with Steady, Up, Down; column order
    "metformin": (0.180, 0.0105, 0.0057),
    "repaglinide": (0.0136, 0.0011, 0.0004),
    "nateglinide": (0.0066, 0.0002, 0.0001),
    "chlorpropamide": (0.0008, 0.00006, 0.00001),
    "glimepiride": (0.0459, 0.0032, 0.0019),
    "acetohexamide": (0.00001, 0.0, 0.0),
    "glipizide": (0.1116, 0.0076, 0.0055),
    "glyburide": (0.0911, 0.0080, 0.0055),
    "tolbutamide": (0.00023, 0.0, 0.0),
    "pioglitazone": (0.0686, 0.0023, 0.0012),
    "rosiglitazone": (0.0599, 0.0018, 0.0009),
    "acarbose": (0.0029, 0.0001, 0.00003),
    "miglitol": (0.0003, 0.00002, 0.00005),
    "troglitazone": (0.00003, 0.0, 0.0),
    "tolazamide": (0.00037, 0.00001, 0.0),
    "examide": (0.0, 0.0, 0.0),
    "citoglipton": (0.0, 0.0, 0.0),
    "insulin": (0.303, 0.111, 0.120),
    "glyburide-metformin": (0.0068, 0.00008, 0.00006),
    "glipizide-metformin": (0.00013, 0.0, 0.0),
    "glimepiride-pioglitazone": (0.00001, 0.0, 0.0),
    "metformin-rosiglitazone": (0.00002, 0.0, 0.0),
    "metformin-pioglitazone": (0.00001, 0.0, 0.0),
}

# The proxy clock: encounter_id at each tenth of the simulated ten years (deciles of the source, rounded).
CLOCK_IDS = np.array([12_500, 43.4e6, 71.8e6, 98.7e6, 126.3e6, 152.4e6, 170.7e6, 206e6, 252.3e6, 311.3e6, 443.8e6])
PATIENT_ID_RANGE = 189_000_000

# Columns that are drawn as codes; every other column holds its integers as they are.
VOCABULARIES: dict[str, npt.NDArray[Any]] = {
    "race": RACE.vocabulary,
    "gender": GENDER.vocabulary,
    "age": AGE.vocabulary,
    "weight": WEIGHT.vocabulary,
    "admission_type_id": ADMISSION_TYPE.vocabulary,
    "discharge_disposition_id": DISCHARGE_DISPOSITION.vocabulary,
    "admission_source_id": ADMISSION_SOURCE.vocabulary,
    "time_in_hospital": TIME_IN_HOSPITAL.vocabulary,
    "payer_code": PAYER_CODE.vocabulary,
    "medical_specialty": MEDICAL_SPECIALTY.vocabulary,
    "num_procedures": NUM_PROCEDURES.vocabulary,
    "number_diagnoses": NUMBER_DIAGNOSES.vocabulary,
    **dict.fromkeys(("diag_1", "diag_2", "diag_3"), DIAGNOSIS.vocabulary),
    "max_glu_serum": GLUCOSE.vocabulary,
    "A1Cresult": A1C.vocabulary,
    **dict.fromkeys(DRUGS, np.array(DOSES, dtype=object)),
    "change": np.array(("No", "Ch"), dtype=object),
    "diabetesMed": np.array(("No", "Yes"), dtype=object),
    "readmitted": np.array(("NO", ">30", "<30"), dtype=object),
}

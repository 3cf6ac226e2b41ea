"""Other words for the codes of the source: how systems and spreadsheets write what the contract knows by one name.

What belongs here: words whose meaning is plain. What does not: spellings that differ in case, blanks or typographic
signs alone (``intake.spellings`` reads those), and words that mean something else somewhere (an age band closed at both
ends, a race under the name of a colour): such a row is set aside, and a person decides.
"""

from readmission_platform.intake.spellings import yes_or_no

DECADES = range(0, 100, 10)


def _band(decade: int) -> list[str]:
    """Return other ways to write the age band of a decade, which ends before the next one begins."""
    first, next_one = decade, decade + 10
    return [f"{first}-{next_one}", f"{first}-{next_one - 1}", f"[{first}-{next_one - 1}]", f"[{first}-{next_one}[",
            f"[{first},{next_one})", f"[{first};{next_one})", f"[{first};{next_one}["]  # fmt: skip


SPELLINGS = {
    "race": {"African-American": "AfricanAmerican"},
    "gender": {"F": "Female", "M": "Male", "U": "Unknown/Invalid", "Unknown": "Unknown/Invalid"},
    "age": {other: f"[{decade}-{decade + 10})" for decade in DECADES for other in _band(decade)},
    "A1Cresult": {"Normal": "Norm", ">7%": ">7", ">8%": ">8"},
    "max_glu_serum": {"Normal": "Norm"},
    "change": {**yes_or_no(yes="Ch", no="No"), "Change": "Ch", "Changed": "Ch"},
    "diabetesMed": yes_or_no(yes="Yes", no="No"),
}
# Columns without a list, and how the source writes what is common in them.
USUAL_TEXTS = {
    "weight": (*(f"[{kilograms}-{kilograms + 25})" for kilograms in range(0, 200, 25)), ">200"),
    "payer_code": tuple("BC CH CM CP DM FR HM MC MD MP OG OT PO SI SP UN WC".split()),
    "medical_specialty": (
        *"InternalMedicine Emergency/Trauma Family/GeneralPractice Cardiology Surgery-General Nephrology".split(),
        *"Orthopedics Orthopedics-Reconstructive Radiologist Pulmonology Psychiatry Urology".split(),
        *"ObstetricsandGynecology Surgery-Cardiovascular/Thoracic Gastroenterology Surgery-Vascular".split(),
        *"Surgery-Neuro PhysicalMedicineandRehabilitation Oncology Pediatrics Hematology/Oncology Neurology".split(),
        *"Pediatrics-Endocrinology Otolaryngology Endocrinology Surgery-Thoracic Psychology Podiatry".split(),
        *"Surgery-Cardiovascular Pediatrics-CriticalCare Hematology Gynecology Hospitalist Radiology Surgeon".split(),
        *"Surgery-Plastic Osteopath Ophthalmology InfectiousDiseases SurgicalSpecialty Pediatrics-Pulmonology".split(),
        *"Obsterics&Gynecology-GynecologicOnco Obstetrics Anesthesiology-Pediatric Rheumatology Pathology".split(),
        *"OutreachServices Anesthesiology Surgery-Maxillofacial PhysicianNotFound Surgery-Colon&Rectal".split(),
    ),
}

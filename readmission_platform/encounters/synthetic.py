"""Synthetic cohort: the 50 columns of the UCI diabetes file, from a seed, with a known risk of readmission.

Here: patients, their stays in clock order, and the outcome of each stay. Not here: the tables that the
values are drawn from (``synthetic_marginals``), the choice of the eligible cohort, features, models.
Nobody in it exists; whatever is computed from it must be labelled synthetic.

How a patient comes about
    A patient has an age, a sex, a race, a frailty and a regimen, and enters at a moment of ten simulated
    years. After each stay the outcome decides whether and when the next one is seen: `<30` leads to a later
    row in about 76 %, `>30` in 60 %, `NO` in 0.9 % (as in the source), more surely and sooner for frequent
    patients, unless the ten years end first. The three utilisation counts are carried along: visits older
    than a year leave, the last stay and visits made elsewhere enter. `encounter_id` is a proxy clock with
    gaps, strictly increasing in time.

The known risk model
    For patients who can return, log-odds of `readmitted == "<30"` =
    -3.38 + 0.62 ln(1 + number_inpatient) + 0.62 ln(1 + number_emergency) + 0.34 ln(1 + number_outpatient)
    + 0.35 if the patient's previous stay was followed by a readmission within 30 days
    + 0.30 ln(time_in_hospital) + 0.04 (number_diagnoses - 7)
    + 0.25 if insulin went up or down - 0.25 if on metformin - 0.16 if A1C was measured
    + AGE_EFFECT + DISPOSITION_EFFECT + PRIMARY_EFFECT of the chapter of diag_1 (and PRIMARY_HEART_FAILURE
    for 428) + SECONDARY_EFFECT of the chapters of diag_2 and of diag_3 (below; 0 for what is not named).
    Died and hospice: probability 0. Race and gender have no effect of their own, and neither has the clock:
    what drifts is the mix and the missingness, never the risk. The size of the effects is ours, chosen so
    that the cohort is about as hard as the source: the true risk has AUROC .70, boosting reaches .66-.69.
    The probability is rounded to six digits *before* the outcome is drawn from it, and depends on nothing
    that is not in the row or in the patient's previous row.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from readmission_platform.encounters import synthetic_marginals as marginals
from readmission_platform.encounters.synthetic_marginals import Codes, Columns, Flags, Floats, Integers

MINIMUM_ENCOUNTERS = 200
COLUMNS = (
    *("encounter_id", "patient_nbr", "race", "gender", "age", "weight", "admission_type_id"),
    *(
        "discharge_disposition_id",
        "admission_source_id",
        "time_in_hospital",
        "payer_code",
        "medical_specialty",
    ),
    *("num_lab_procedures", "num_procedures", "num_medications", "number_outpatient", "number_emergency"),
    *("number_inpatient", "diag_1", "diag_2", "diag_3", "number_diagnoses", "max_glu_serum", "A1Cresult"),
    *marginals.DRUGS,
    *("change", "diabetesMed", "readmitted"),
)

INTERCEPT = -3.38
AGE_EFFECT = {
    "[0-10)": -1.0,
    "[10-20)": -0.4,
    "[20-30)": 0.28,
    "[30-40)": 0.22,
    "[40-50)": 0.18,
    "[50-60)": 0.05,
}
DISPOSITION_EFFECT = {
    **{2: 0.80, 3: 0.60, 4: 0.60, 5: 1.20, 6: 0.42, 7: 0.70, 8: 0.50, 9: 1.20, 12: 1.00, 15: 1.30},
    **{18: 0.30, 22: 1.50, 23: -0.40, 24: 0.40, 28: 1.80},
}
PRIMARY_EFFECT = {
    **{"circulatory": 0.10, "respiratory": -0.15, "musculoskeletal": -0.25, "injury": 0.20, "blood": 0.35},
    **{"neoplasm": 0.20, "mental": 0.20, "symptoms": -0.20, "pregnancy": -0.5, "diabetes": 0.15, "V": 0.15},
}
PRIMARY_HEART_FAILURE = 0.35  # on top of its chapter
SECONDARY_EFFECT = {"neoplasm": 0.40, "skin": 0.30, "genitourinary": 0.24, "pregnancy": -0.5, "V": -0.10}

_PATIENTS_PER_BATCH = 50_000
_MAXIMUM_STAYS = 40  # the longest history in the source
_YEARS = 10.0
_DAY = 1 / 365.25
_RETURNS_SEEN = np.array([0.009, 0.59, 0.72])  # probability of a later row after NO, >30, <30 ...
_RETURNS_SEEN_IF_FREQUENT = np.array([0.0, 0.28, 0.18])  # ... and what five and more inpatient visits add

# Effects per code; the last entry serves -1, missing.
_AGE = marginals.AGE.effects(lambda band: AGE_EFFECT.get(band, 0.0))
_DISPOSITION = marginals.DISCHARGE_DISPOSITION.effects(lambda code: DISPOSITION_EFFECT.get(code, 0.0))
_PRIMARY = marginals.DIAGNOSIS.effects(
    lambda code: PRIMARY_EFFECT.get(marginals.chapter_of(code), 0.0) + PRIMARY_HEART_FAILURE * (code == "428")
)
_SECONDARY = marginals.DIAGNOSIS.effects(lambda code: SECONDARY_EFFECT.get(marginals.chapter_of(code), 0.0))
_CANNOT_RETURN = marginals.DISCHARGE_DISPOSITION.effects(lambda code: code in marginals.CANNOT_RETURN) > 0
_IS_DIABETES = marginals.DIAGNOSIS.effects(lambda code: marginals.chapter_of(code) == "diabetes") > 0
_SPARE_DIAGNOSES = np.flatnonzero(np.isin(marginals.DIAGNOSIS.vocabulary, ["250", "276", "401"]))


@dataclass(frozen=True)
class _Patients:
    """What stays the same for a patient; arrays of one entry per patient."""

    race: Codes  # -1 missing
    gender: Codes
    birth: Floats  # age in years at the start of the clock
    start: Floats  # years on the clock
    frailty: Floats  # mean 1
    comorbidity: Floats  # standard normal
    regimen: npt.NDArray[np.float32]  # patients x drugs, uniform: on the drug when in its top share


@dataclass
class _History:
    """What a stay begins with; arrays of one entry per patient still followed."""

    patient: Integers
    time: Floats
    inpatient: Integers
    emergency: Integers
    outpatient: Integers
    readmitted_before: Flags


def generate(*, encounters: int, seed: int) -> pd.DataFrame:
    """Return a synthetic cohort of exactly `encounters` rows (200 and more) and the 50 columns of the source.

    The same arguments give the same rows on every machine, as long as numpy keeps its random streams (the
    lock file pins it). Missing values are NaN; the strings ``None`` of `A1Cresult` and `max_glu_serum` mean
    "not measured". Raises ValueError for fewer than 200 encounters or a negative seed.
    """
    return generate_with_truth(encounters=encounters, seed=seed)[0]


def generate_with_truth(*, encounters: int, seed: int) -> tuple[pd.DataFrame, Floats]:
    """Return the cohort of `generate` and, row by row, the true probability of ``readmitted == "<30"``."""
    if encounters < MINIMUM_ENCOUNTERS:
        raise ValueError(f"A synthetic cohort needs at least {MINIMUM_ENCOUNTERS} encounters, not {encounters}.")
    if seed < 0:
        raise ValueError(f"The seed of a synthetic cohort must not be negative, but is {seed}.")
    rows = _simulate(encounters, seed)
    rng = _stream(seed, 0)
    rows["encounter_id"] = _clock_ids(rows.pop("time"))
    rows["patient_nbr"] = _patient_ids(rng, rows["patient_nbr"])
    shuffled = rng.permutation(encounters)  # like the source, the file is not sorted by the clock
    rows = {name: values[shuffled] for name, values in rows.items()}
    truth = rows.pop("truth")
    frame = pd.DataFrame({name: _decoded(name, rows.pop(name)) for name in COLUMNS}, copy=False)
    return frame, truth


def _stream(seed: int, batch: int) -> np.random.Generator:
    """Independent PCG64 stream per batch; 0 is for the cohort as a whole."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=(batch,))))


def _simulate(encounters: int, seed: int) -> Columns:
    """Simulate whole patients in batches until there are enough rows; the last patient may be cut short."""
    size = min(_PATIENTS_PER_BATCH, int(0.75 * encounters) + 20)
    batches: list[Columns] = []
    have = 0
    while have < encounters:
        batch = _simulate_batch(_stream(seed, len(batches) + 1), size)
        batch["patient_nbr"] += np.int64(len(batches) * size)
        have += len(batch["time"])
        batches.append(batch)
    return {name: np.concatenate([batch[name] for batch in batches])[:encounters] for name in batches[0]}


def _simulate_batch(rng: np.random.Generator, size: int) -> Columns:
    """Follow `size` patients stay by stay; rows come back patient by patient, in clock order."""
    patients = _patients(rng, size)
    history = _first_history(rng, patients)
    stays: list[Columns] = []
    while len(history.patient) and len(stays) < _MAXIMUM_STAYS:
        stay = _stay(rng, patients, history)
        stay["truth"] = _true_risk(stay, history)
        stay["readmitted"] = outcome = _outcome(rng, stay, history)
        stays.append(stay)
        history = _next_history(rng, patients, history, outcome)
    rows = {name: np.concatenate([stay[name] for stay in stays]) for name in stays[0]}
    by_patient = np.argsort(rows["patient_nbr"], kind="stable")
    return {name: values[by_patient] for name, values in rows.items()}


def _patients(rng: np.random.Generator, size: int) -> _Patients:
    band = marginals.AGE.draw(rng.random(size)).astype(np.int64)
    start = _YEARS * rng.random(size)
    race = marginals.RACE.draw(rng.random(size), marginals.AGE_GROUP_OF_BAND[band])
    race[rng.random(size) < 0.0223] = -1
    age = 10.0 * (band + rng.random(size))
    return _Patients(
        race=race,
        gender=marginals.GENDER.draw(rng.random(size)),
        birth=age - start,
        start=start,
        frailty=rng.standard_gamma(0.22, size) / 0.22,
        comorbidity=0.35 * (age - 65) / 16 + 0.94 * rng.standard_normal(size),
        regimen=rng.random((size, len(marginals.DRUGS)), dtype=np.float32),
    )


def _first_history(rng: np.random.Generator, patients: _Patients) -> _History:
    """The year before the first stay that the file shows."""
    size = len(patients.start)
    everyone = np.arange(size)
    inpatient, emergency, outpatient = _visits(rng, patients, everyone, patients.start, np.ones(size))
    return _History(everyone, patients.start, inpatient, emergency, outpatient, np.zeros(size, dtype=bool))


def _visits(
    rng: np.random.Generator, patients: _Patients, who: Integers, time: Floats, years: Floats
) -> tuple[Integers, Integers, Integers]:
    """Inpatient, emergency and outpatient visits not in the file during `years` before `time`."""
    frailty = patients.frailty[who]
    # A mild drift of the mix: emergency and outpatient visits are recorded more often as the years go by.
    recorded = years * (0.75 + 0.05 * time)
    own = rng.standard_gamma(0.2, (2, len(who))) / 0.2
    return (
        rng.poisson(0.19 * years * frailty),
        rng.poisson(recorded * (0.07 * frailty + 0.07 * own[0])),
        rng.poisson(recorded * (0.06 * frailty + 0.26 * own[1])),
    )


def _next_history(rng: np.random.Generator, patients: _Patients, history: _History, outcome: Codes) -> _History:
    """Who is seen again, when, and with which utilisation in the year before."""
    size = len(outcome)
    wait = 180 / (1 + 0.25 * history.inpatient)  # frequent patients come back sooner, and more surely
    days = np.where(outcome == 2, 15 + 14 * rng.random(size), 45 + wait * rng.standard_exponential(size))
    gap = days * _DAY
    time = history.time + gap
    seen = _RETURNS_SEEN[outcome] + _RETURNS_SEEN_IF_FREQUENT[outcome] * np.minimum(history.inpatient, 5) / 5
    again = (rng.random(size) < seen) & (time < _YEARS)
    who, time, gap = history.patient[again], time[again], np.minimum(gap[again], 1.0)
    last_stay_counts = gap < 1
    inpatient, emergency, outpatient = _visits(rng, patients, who, time, gap)
    return _History(
        patient=who,
        time=time,
        inpatient=inpatient + last_stay_counts + rng.binomial(history.inpatient[again], 1 - gap),
        emergency=emergency + rng.binomial(history.emergency[again], 1 - gap),
        outpatient=outpatient + rng.binomial(history.outpatient[again], 1 - gap),
        readmitted_before=outcome[again] == 2,
    )


def _stay(rng: np.random.Generator, patients: _Patients, history: _History) -> Columns:
    """Draw one stay for each patient followed: codes or integers per column."""
    who, size = history.patient, len(history.patient)
    severity, comorbidity = rng.standard_normal(size), patients.comorbidity[who]
    band = np.clip((patients.birth[who] + history.time) // 10, 0, 9).astype(np.int64)
    stay: Columns = {
        "patient_nbr": who,
        "time": history.time,
        "race": patients.race[who],
        "gender": patients.gender[who],
        "age": band.astype(np.int16),
        "number_inpatient": history.inpatient,
        "number_emergency": history.emergency,
        "number_outpatient": history.outpatient,
    }
    noise = rng.standard_normal((5, size))
    length = marginals.TIME_IN_HOSPITAL.draw(_share(0.7 * severity + 0.714 * noise[0]))
    medications = 0.62 * severity + 0.25 * comorbidity + 0.744 * noise[1]
    stay["time_in_hospital"] = length
    stay["num_medications"] = _quantile(marginals.MEDICATIONS, medications)
    stay["num_lab_procedures"] = _lab_procedures(rng, 0.5 * severity + 0.866 * noise[2])
    stay["num_procedures"] = marginals.NUM_PROCEDURES.draw(_share(0.4 * medications + 0.917 * noise[3]))
    diagnoses = marginals.NUMBER_DIAGNOSES.draw(_share(0.3 * severity + 0.45 * comorbidity + 0.841 * noise[4]))
    stay["number_diagnoses"] = diagnoses
    stay |= _diagnoses(rng, band, stay["gender"] == 1, diagnoses)
    stay |= _administration(rng, band, stay["gender"], length, history.time)
    stay |= _treatment(rng, patients.regimen[who], stay["diag_1"])
    return stay


def _share(normal: Floats) -> Floats:
    """Standard normal distribution function to 2e-4 (Bowling et al. 2009, J. Ind. Eng. Manag. 2:114-127)."""
    return np.asarray(1 / (1 + np.exp(-normal * (1.5976 + 0.07056 * normal * normal))))


def _quantile(table: tuple[tuple[float, ...], tuple[float, ...]], normal: Floats) -> Integers:
    return np.rint(np.interp(_share(normal), *table)).astype(np.int64)


def _lab_procedures(rng: np.random.Generator, normal: Floats) -> Integers:
    """The source has a spike at one procedure (3 %) apart from the bulk."""
    return np.where(rng.random(len(normal)) < 0.03, 1, _quantile(marginals.LAB_PROCEDURES, normal))


def _diagnoses(rng: np.random.Generator, band: Integers, male: Flags, number: Codes) -> dict[str, Codes]:
    """Three distinct ICD-9 codes; the second and third need as many diagnoses, and a few go unrecorded."""
    size = len(band)
    group = marginals.AGE_GROUP_OF_BAND[band] * 2 + male
    first, second, third = (table.draw(rng.random(size), group) for table in marginals.DIAGNOSES)
    for spare in _SPARE_DIAGNOSES:  # three frequent codes: at least one is neither of the others
        second = np.where(second == first, spare, second)
        third = np.where((third == first) | (third == second), spare, third)
    unrecorded = rng.random(size)
    second[(number < 1) | (unrecorded < 0.0015)] = -1
    third[(number < 2) | (unrecorded < 0.0025)] = -1
    first[unrecorded > 1 - 0.0002] = -1
    return {"diag_1": first, "diag_2": second, "diag_3": third}


def _administration(
    rng: np.random.Generator, band: Integers, gender: Codes, length: Codes, time: Floats
) -> dict[str, Codes]:
    """Admission, discharge, payer and specialty; what is missing drifts along the clock as in the source."""
    size = len(band)
    age_group = marginals.AGE_GROUP_OF_BAND[band]
    admission = marginals.ADMISSION_TYPE.draw(rng.random(size))
    stay_group = np.searchsorted([2, 4, 7], length + 1)
    discharge_group = 4 * np.searchsorted([5, 7], band, side="right") + stay_group
    payer = marginals.PAYER_CODE.draw(rng.random(size), age_group)
    payer[rng.random(size) < 0.62 - 0.043 * time] = -1
    specialty_group = np.where(age_group == 0, 0, np.where(gender == 0, np.where(age_group == 1, 1, 2), 3))
    specialty = marginals.MEDICAL_SPECIALTY.draw(rng.random(size), specialty_group)
    specialty[rng.random(size) < 0.37 + 0.0235 * time] = -1
    weight = marginals.WEIGHT.draw(rng.random(size))
    weight[rng.random(size) < 0.9686] = -1
    return {
        "admission_type_id": admission,
        "admission_source_id": marginals.ADMISSION_SOURCE.draw(rng.random(size), admission.astype(np.int64)),
        "discharge_disposition_id": marginals.DISCHARGE_DISPOSITION.draw(rng.random(size), discharge_group),
        "payer_code": payer,
        "medical_specialty": specialty,
        "weight": weight,
    }


def _treatment(rng: np.random.Generator, regimen: npt.NDArray[np.float32], primary: Codes) -> dict[str, Codes]:
    """Tests and drugs; `change` and `diabetesMed` follow from the drugs exactly as in the source."""
    size = len(primary)
    # One stay in seven starts from a regimen of its own, the others go on with the patient's.
    own = np.flatnonzero(rng.random(size) < 0.15)
    regimen[own] = rng.random((len(own), regimen.shape[1]), dtype=np.float32)
    treatment: dict[str, Codes] = {}
    taken, changed = np.zeros(size, dtype=np.int16), np.zeros(size, dtype=bool)
    for column, (drug, (steady, up, down)) in enumerate(marginals.DRUGS.items()):
        total = steady + up + down
        users = np.flatnonzero(regimen[:, column] >= 1 - total)
        dose = np.zeros(size, dtype=np.int16)
        if total > 0:
            dose[users] = 1 + np.searchsorted([steady / total, (steady + up) / total], rng.random(len(users)))
        treatment[drug] = dose
        taken += dose > 0
        changed |= dose > 1
    treatment["change"] = (changed | (taken > 1)).astype(np.int16)
    treatment["diabetesMed"] = (taken > 0).astype(np.int16)
    diabetes = _IS_DIABETES[primary]
    for name, table, share in (
        ("A1Cresult", marginals.A1C, 0.155),
        ("max_glu_serum", marginals.GLUCOSE, 0.0488),
    ):
        result = table.draw(rng.random(size))
        result[rng.random(size) >= np.where(diabetes, 1.9, 1.0) * share] = 3  # "None": not measured
        treatment[name] = result
    return treatment


def _true_risk(stay: Columns, history: _History) -> Floats:
    """The risk model of the module's docstring, rounded so that it is the same on every machine."""
    diagnoses = [stay[f"diag_{position}"] for position in (1, 2, 3)]
    log_odds = (
        INTERCEPT
        + 0.62 * np.log1p(history.inpatient)
        + 0.62 * np.log1p(history.emergency)
        + 0.34 * np.log1p(history.outpatient)
        + 0.35 * history.readmitted_before
        + 0.30 * np.log1p(stay["time_in_hospital"])  # the code is the length of stay less one
        + 0.04 * (stay["number_diagnoses"] + 1.0 - 7.0)
        + 0.25 * (stay["insulin"] > 1)
        - 0.25 * (stay["metformin"] > 0)
        - 0.16 * (stay["A1Cresult"] < 3)
        + _AGE[stay["age"]]
        + _DISPOSITION[stay["discharge_disposition_id"]]
        + _PRIMARY[diagnoses[0]]
        + _SECONDARY[diagnoses[1]]
        + _SECONDARY[diagnoses[2]]
    )
    risk = np.round(1 / (1 + np.exp(-log_odds)), 6)
    return np.where(_CANNOT_RETURN[stay["discharge_disposition_id"]], 0.0, risk)


def _outcome(rng: np.random.Generator, stay: Columns, history: _History) -> Codes:
    """Draw NO, >30 or <30 (codes 0, 1, 2); the share of >30 by inpatient visits follows the source."""
    size = len(history.patient)
    later = 1 / (1 + np.exp(0.72 - 0.88 * np.log1p(history.inpatient)))
    later = np.where(_CANNOT_RETURN[stay["discharge_disposition_id"]], 0.0, later)
    early = rng.random(size) < stay["truth"]
    return np.where(early, 2, rng.random(size) < later).astype(np.int16)


def _clock_ids(time: Floats) -> Integers:
    """Unique ids strictly increasing with time; few rows leave wide gaps, as in the source."""
    order = np.argsort(time, kind="stable")
    grid = np.linspace(0, _YEARS, len(marginals.CLOCK_IDS))
    wanted = np.interp(time[order], grid, marginals.CLOCK_IDS).astype(np.int64)
    rank = np.arange(len(time))
    ids = np.empty(len(time), dtype=np.int64)
    ids[order] = np.maximum.accumulate(wanted - rank) + rank
    return ids


def _patient_ids(rng: np.random.Generator, patient: Integers) -> Integers:
    """Replace consecutive patient numbers by ids with random gaps, in an order that says nothing."""
    count = int(patient.max()) + 1
    ids = np.cumsum(rng.integers(1, 2 * max(marginals.PATIENT_ID_RANGE // count, 1), count))
    return rng.permutation(ids)[patient]


def _decoded(name: str, values: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
    """Turn codes into values (int64, or objects with NaN for -1)."""
    vocabulary = marginals.VOCABULARIES.get(name)
    if vocabulary is None:
        return values.astype(np.int64)
    # A missing value is the code -1, hence the last entry; integer columns have none.
    padded = vocabulary if vocabulary.dtype == np.int64 else np.append(vocabulary, np.nan)
    decoded: npt.NDArray[np.generic] = padded[values]
    return decoded

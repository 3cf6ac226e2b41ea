"""The installation: a home together with the ledger and the operations database that belong to it.

What belongs here: making an installation, finding it again, and opening its ledger. What does not: the folders of a
home (``storage.home``), and what a ledger says of itself (``governance.ledger.binding``).

An installation is made once, by ``readmission setup`` or the first command that makes something. From then on its
ledger has to be there: a path or an address that leads elsewhere is an error, never an empty ledger.
"""

from readmission_platform.config.environment import Settings
from readmission_platform.foundation.errors import BadInput
from readmission_platform.governance.ledger.chain import ENVIRONMENT
from readmission_platform.governance.ledger.ledger import Ledger
from readmission_platform.operations.database import Operations
from readmission_platform.storage.home import Installation, installation_of, prepare_home, record_installation


def make_installation(settings: Settings) -> None:
    """Make what is missing of the installation: the home, its ledger, its operations database; safe to repeat.

    Raises
    ------
    ConfigurationError
        When no home can be at that path.
    Refused
        When home or ledger belong to another environment, or to different installations.
    Unavailable
        When the ledger cannot be reached, or is not there any more.
    OSError
        When the home cannot be written.
    """
    found = installation_of(settings)
    prepare_home(settings)
    if found is not None:
        open_ledger(settings).close()
        return
    with Ledger.of_environment(settings.ledger_database, environment=settings.environment) as ledger:
        binding = ledger.binding
    Operations(settings.operations_database).close()
    record_installation(settings, Installation(binding.environment, binding.installation))


def installation_here(settings: Settings) -> Installation:
    """Return the installation that the home is of.

    Raises
    ------
    BadInput
        When there is no home.
    Refused
        When it is of another environment.
    """
    found = installation_of(settings)
    if found is None:
        raise BadInput(
            f"there is no home in {settings.home}: `readmission setup` makes one, READMISSION_HOME names another"
        )
    return found


def open_ledger(settings: Settings, stream: str = ENVIRONMENT) -> Ledger:
    """Open the ledger of the installation, at the stream of a model or of the environment.

    Raises
    ------
    BadInput
        When there is no home.
    Refused
        When home or ledger belong to another environment, or to different installations.
    Unavailable
        When the ledger cannot be reached, or is not there any more.
    LedgerCorrupt
        When parts of it are missing.
    """
    found = installation_here(settings)
    url, bound = settings.ledger_database, {"environment": found.environment, "installation": found.number}
    return Ledger.of_environment(url, **bound) if stream == ENVIRONMENT else Ledger(url, model=stream, **bound)

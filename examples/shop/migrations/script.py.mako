"""${message}.

Revision: ${up_revision}, after ${down_revision or "nothing"}; ${create_date.date()}.
"""

import sqlalchemy as sa
from alembic import op

from shop.models import base as models
${imports if imports else ""}
revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = ${repr(branch_labels)}
depends_on = ${repr(depends_on)}


def upgrade() -> None:
    """Make the changes."""
    ${upgrades if upgrades else "pass"}


def downgrade() -> None:
    """Take them back."""
    ${downgrades if downgrades else "pass"}

"""The catalogue: every kind of bad data, by where it comes from."""

from mlops_assets_tests.claims.bad_data._of_columns import OF_COLUMNS
from mlops_assets_tests.claims.bad_data._of_files import OF_FILES
from mlops_assets_tests.claims.bad_data._of_time import OF_TIME
from mlops_assets_tests.claims.bad_data._of_values import OF_VALUES
from mlops_assets_tests.claims.bad_data._of_volume import OF_VOLUME

CATALOGUE = {
    "Files that are not what they seem": OF_FILES,
    "Columns that are others": OF_COLUMNS,
    "Values that cannot be": OF_VALUES,
    "Times and days": OF_TIME,
    "Too much, too little, again": OF_VOLUME,
}
KINDS = [kind for kinds in CATALOGUE.values() for kind in kinds]

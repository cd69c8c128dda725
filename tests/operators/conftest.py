from tests.fiftyone_fixtures import *  # the fixtures, and FiftyOne on a private database

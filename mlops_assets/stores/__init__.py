"""Where bytes rest: tables, model bundles, releases, records, online features, the prediction log, state, tracking.

Every store takes its root as an argument and survives `kill -9` at any moment: a reader finds the old content or the
new, never half of it. Import a store from its own file; this page re-exports nothing, so that the endpoint does not
load the table engine it never uses.
"""

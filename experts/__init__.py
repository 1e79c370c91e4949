"""Models that look at frames and say what is there: one file an expert, one registry, one place that finds weights.

    experts.load(name) -> Expert                 an embedded expert, its model loaded at the first use
    experts.run(expert, views, run_id=...)       rows of the table experts/<name>
    experts.clip_views(clip_rows)                rows of the clips table -> what experts look at
    experts.weights                              profiles, pull, status, resolve, footage

Nothing heavy is imported before a name is used.
"""

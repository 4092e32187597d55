# The workflow is in workflow/Snakefile. `snakemake` reads this file first, and finds the default profile beside it.


include: "workflow/Snakefile"


workflow.default_target = "all"  # an included file does not set it

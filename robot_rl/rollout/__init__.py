"""The one act → step loop and its parts; actor, recorder and evaluator are its users."""

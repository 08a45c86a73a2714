//! Document [002] from end to end, as `examples/recording-transport` has it: dialled, recorded, and on its way to the CRM.

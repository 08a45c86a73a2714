//! Legs, channels and the B2BUA that bridges them; supervision by UUID, causes, detail records.

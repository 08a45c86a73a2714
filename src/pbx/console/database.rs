//! The console's words about the store. Values are shown where one is asked for by its name; a listing hides them, as
//! `astdb show` does.

use std::fmt::Write;
use std::ops::ControlFlow;

use crate::{
    astdb::{Detail, Select, Store, StoreError, Value},
    control::protocol::{Fault, FaultCode},
    pbx::House,
};

impl House {
    fn database(&self) -> Result<&Store, Fault> {
        self.env.store().ok_or_else(|| Fault::new(FaultCode::NotFound, "there is no store"))
    }

    pub(super) fn console_get(&self, family: &str, key: &str) -> Result<String, Fault> {
        let value = match self.of_calls(family, key) {
            Some(value) => value,
            None => {
                let value = self.database()?.get(family, key).map_err(|error| failed(&error))?;
                value.map(|value| value.text().into_owned())
            }
        };
        match value {
            Some(value) => Ok(format!("Value: {value}\n")),
            None => Err(Fault::new(FaultCode::NotFound, "Database entry not found.")),
        }
    }

    pub(super) async fn console_put(&self, family: &str, key: &str, value: &str) -> Result<String, Fault> {
        self.database()?
            .put(family, key, Value::new(value.as_bytes().to_vec()))
            .await
            .map_err(|error| failed(&error))?;
        Ok("Updated database successfully\n".to_owned())
    }

    pub(super) async fn console_del(&self, family: &str, key: &str) -> Result<String, Fault> {
        if self.database()?.del(family, key).await.map_err(|error| failed(&error))?.existed {
            Ok("Database entry removed.\n".to_owned())
        } else {
            Err(Fault::new(FaultCode::NotFound, "Database entry could not be removed."))
        }
    }

    pub(super) async fn console_deltree(&self, family: &str, prefix: Option<&str>) -> Result<String, Fault> {
        match self.database()?.deltree(family, prefix).await.map_err(|error| failed(&error))? {
            0 => Err(Fault::new(FaultCode::NotFound, "Database entries do not exist.")),
            count => Ok(format!("{count} database entries removed.\n")),
        }
    }

    pub(super) fn console_show(&self, select: &Select) -> Result<String, Fault> {
        let mut text = String::new();
        let count = self.database()?.list(select, Detail::Names, &mut |entry| {
            let name = format!("/{}/{}", entry.family, entry.key);
            let _ = writeln!(text, "{name:<50}: {:<25}", "(sealed)");
            ControlFlow::Continue(())
        });
        let _ = writeln!(text, "{} results found.", count.map_err(|error| failed(&error))?);
        Ok(text)
    }
}

fn failed(error: &StoreError) -> Fault {
    Fault::new(FaultCode::Failure, error.to_string())
}

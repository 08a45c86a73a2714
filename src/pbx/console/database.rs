//! The console's words about the store. Values are shown where one is asked for by its name; a listing hides them, as
//! `astdb show` does.

use std::ops::ControlFlow;

use crate::{
    astdb::{Detail, Select, Store, StoreError, Value, asterisk},
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
            Some(value) => Ok(line(&asterisk::value(&value))),
            None => Err(Fault::new(FaultCode::NotFound, asterisk::NOT_FOUND)),
        }
    }

    pub(super) async fn console_put(&self, family: &str, key: &str, value: &str) -> Result<String, Fault> {
        self.database()?
            .put(family, key, Value::new(value.as_bytes().to_vec()))
            .await
            .map_err(|error| failed(&error))?;
        Ok(line(asterisk::UPDATED))
    }

    pub(super) async fn console_del(&self, family: &str, key: &str) -> Result<String, Fault> {
        if self.database()?.del(family, key).await.map_err(|error| failed(&error))?.existed {
            Ok(line(asterisk::REMOVED))
        } else {
            Err(Fault::new(FaultCode::NotFound, asterisk::NOT_REMOVED))
        }
    }

    pub(super) async fn console_deltree(&self, family: &str, prefix: Option<&str>) -> Result<String, Fault> {
        match self.database()?.deltree(family, prefix).await.map_err(|error| failed(&error))? {
            0 => Err(Fault::new(FaultCode::NotFound, asterisk::NONE_EXIST)),
            count => Ok(line(&asterisk::removed(count))),
        }
    }

    pub(super) fn console_show(&self, select: &Select) -> Result<String, Fault> {
        let mut text = String::new();
        let count = self.database()?.list(select, Detail::Names, &mut |entry| {
            let name = asterisk::full_name(&entry.family, &entry.key);
            text.push_str(&line(&asterisk::row(&name, &asterisk::value_in_list(&entry))));
            ControlFlow::Continue(())
        });
        text.push_str(&line(&asterisk::found(count.map_err(|error| failed(&error))?)));
        Ok(text)
    }
}

fn failed(error: &StoreError) -> Fault {
    Fault::new(FaultCode::Failure, error.to_string())
}

fn line(words: &str) -> String {
    format!("{words}\n")
}

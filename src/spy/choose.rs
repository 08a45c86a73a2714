//! Which call, on a terminal: the live calls in a list that refreshes, with arrow keys, numbers and a filter.
//! Above: `cli`. Below: the control client, and a list, which is pure. The terminal is as before when it is left, in whatever way.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use crossterm::terminal::{self, Clear, ClearType, EnterAlternateScreen, LeaveAlternateScreen};
use crossterm::{cursor, execute, queue, style::Print};
use tokio::time::{MissedTickBehavior, interval};

use super::pick::{Choice, target};
use super::words::{clean, fit};
use crate::control::client::{Client, ClientError};
use crate::control::protocol::{CallInfo, method};

/// Between two looks at the live calls.
const REFRESH: Duration = Duration::from_secs(1);
/// How long a wait for a key lasts before the list is looked at again.
const GLANCE: Duration = Duration::from_millis(100);
/// Lines around the list.
const FRAME_LINES: usize = 3;

/// Lets a user choose from the live calls.
///
/// # Errors
///
/// [`ClientError`] when the server or the terminal is gone.
pub async fn from_live_calls(mut client: Client) -> Result<Choice, ClientError> {
    let (news, calls) = channel();
    news_of(&mut client, &news).await?;
    let page = Page::open()?;
    let closed = Arc::clone(&page.closed);
    let mut chosen = tokio::task::spawn_blocking(move || choose(&calls, &closed));
    let mut refresh = interval(REFRESH);
    refresh.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            done = &mut chosen => return Ok(done.map_err(io::Error::other)??),
            _ = refresh.tick() => news_of(&mut client, &news).await?,
        }
    }
}

async fn news_of(client: &mut Client, news: &Sender<Vec<CallInfo>>) -> Result<(), ClientError> {
    let calls = client.list(method::CALLS, &serde_json::json!({})).await?;
    // The one who reads it has chosen, and that is told elsewhere.
    let _ = news.send(calls);
    Ok(())
}

/// The terminal's second screen, in raw mode, until the drop.
struct Page {
    /// Ends the thread that waits for keys.
    closed: Arc<AtomicBool>,
}

impl Page {
    fn open() -> io::Result<Self> {
        let page = Self { closed: Arc::default() };
        terminal::enable_raw_mode()?;
        execute!(io::stderr(), EnterAlternateScreen, cursor::Hide)?;
        Ok(page)
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        self.closed.store(true, Ordering::Relaxed);
        let _ = execute!(io::stderr(), cursor::Show, LeaveAlternateScreen);
        let _ = terminal::disable_raw_mode();
    }
}

/// Draws and waits for keys until there is a choice.
fn choose(calls: &Receiver<Vec<CallInfo>>, closed: &AtomicBool) -> io::Result<Choice> {
    let mut list = List::default();
    let mut stale = true;
    while !closed.load(Ordering::Relaxed) {
        if let Some(calls) = calls.try_iter().last() {
            list.refresh(calls);
            stale = true;
        }
        if std::mem::take(&mut stale) {
            draw(&list)?;
        }
        if !event::poll(GLANCE)? {
            continue;
        }
        stale = true;
        if let Event::Key(key) = event::read()?
            && key.kind != KeyEventKind::Release
            && let Some(choice) = list.press(key)
        {
            return Ok(choice);
        }
    }
    Ok(Choice::Leave)
}

fn draw(list: &List) -> io::Result<()> {
    let (columns, rows) = terminal::size().unwrap_or((80, 24));
    let mut stderr = io::stderr().lock();
    queue!(stderr, cursor::MoveTo(0, 0))?;
    let lines = list.lines(usize::from(columns).max(2) - 1, usize::from(rows));
    let last = lines.len().saturating_sub(1);
    for (at, line) in lines.iter().enumerate() {
        let end = if at == last { "" } else { "\r\n" };
        queue!(stderr, Print(line), Clear(ClearType::UntilNewLine), Print(end))?;
    }
    queue!(stderr, Clear(ClearType::FromCursorDown))?;
    stderr.flush()
}

/// The live calls, those among them that the filter leaves, and the one the cursor is on.
#[derive(Debug, Default)]
struct List {
    calls: Vec<CallInfo>,
    filter: String,
    /// Keys go to the filter.
    filtering: bool,
    /// The call under the cursor, so that it stays there when others come and go.
    current: Option<String>,
}

impl List {
    fn refresh(&mut self, calls: Vec<CallInfo>) {
        self.calls = calls;
    }

    fn shown(&self) -> Vec<&CallInfo> {
        let wanted = self.filter.to_lowercase();
        let matches = |call: &&CallInfo| {
            let users = call.legs.iter().filter_map(|leg| leg.user.as_deref());
            let mut texts = [call.from.as_str(), &call.to, &call.uuid, call.state.word()].into_iter().chain(users);
            texts.any(|text| text.to_lowercase().contains(&wanted))
        };
        self.calls.iter().filter(matches).collect()
    }

    fn cursor(&self, shown: &[&CallInfo]) -> usize {
        let current = self.current.as_deref();
        shown.iter().position(|call| Some(call.uuid.as_str()) == current).unwrap_or(0)
    }

    fn press(&mut self, key: KeyEvent) -> Option<Choice> {
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Char('c') if control => return Some(Choice::Leave),
            KeyCode::Enter => return self.take(self.cursor(&self.shown())),
            KeyCode::Up => self.step(-1),
            KeyCode::Down => self.step(1),
            KeyCode::Esc if self.filtering || !self.filter.is_empty() => {
                self.filter.clear();
                self.filtering = false;
            }
            KeyCode::Esc => return Some(Choice::Leave),
            KeyCode::Backspace => {
                self.filter.pop();
            }
            KeyCode::Char(c) if self.filtering && !control => self.filter.push(c),
            KeyCode::Char('/') => self.filtering = true,
            KeyCode::Char('q' | 'Q') => return Some(Choice::Leave),
            KeyCode::Char(c @ '1'..='9') => return self.take(c as usize - '1' as usize),
            KeyCode::Char('k') => self.step(-1),
            KeyCode::Char('j') => self.step(1),
            _ => {}
        }
        None
    }

    fn take(&self, at: usize) -> Option<Choice> {
        Some(Choice::Call(target(self.shown().get(at)?).to_owned()))
    }

    fn step(&mut self, by: isize) {
        let shown = self.shown();
        let at = self.cursor(&shown).saturating_add_signed(by).min(shown.len().saturating_sub(1));
        self.current = shown.get(at).map(|call| call.uuid.clone());
    }

    /// The whole screen: at most so many rows, none wider than that.
    fn lines(&self, columns: usize, rows: usize) -> Vec<String> {
        let shown = self.shown();
        let cursor = self.cursor(&shown);
        let room = rows.saturating_sub(FRAME_LINES).max(1);
        // The cursor stays in sight.
        let first = cursor.saturating_sub(room - 1);
        let mut lines = vec![fit(&self.title(shown.len()), columns)];
        lines.extend(shown.iter().enumerate().skip(first).take(room).map(|(at, call)| {
            let mark = if at == cursor { '>' } else { ' ' };
            fit(&format!("{mark} {:>2}  {}", at + 1, row(call)), columns)
        }));
        if shown.is_empty() {
            let why =
                if self.calls.is_empty() { "no live call; one will show here" } else { "no call matches the filter" };
            lines.push(fit(&format!("      {why}"), columns));
        }
        lines.push(String::new());
        let keys = "up and down, Enter: listen   1 to 9: listen   /: filter   q: leave";
        lines.push(fit(keys, columns));
        lines
    }

    fn title(&self, shown: usize) -> String {
        let calls = match self.calls.len() {
            1 => "1 live call".to_owned(),
            many => format!("{many} live calls"),
        };
        match (self.filtering || !self.filter.is_empty(), self.filtering) {
            (false, _) => calls,
            (true, typing) => {
                format!("{calls}, {shown} with: {}{}", clean(&self.filter), if typing { "_" } else { "" })
            }
        }
    }
}

fn row(call: &CallInfo) -> String {
    let seconds = call.duration_s.max(0.0) as u64;
    let spied = match call.spied {
        0 => String::new(),
        some => format!("  spied by {some}"),
    };
    let (from, to) = (clean(&call.from), clean(&call.to));
    let time = format!("{:02}:{:02}", seconds / 60, seconds % 60);
    format!("{from:<14} {to:<14} {:<8} {time}{spied}  {}", call.state.word(), clean(&call.uuid))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::protocol::{CallState, LegInfo};

    fn call(uuid: &str, from: &str, to: &str) -> CallInfo {
        let leg = |uuid: String, user: Option<&str>| LegInfo { uuid, user: user.map(Into::into), ..LegInfo::default() };
        CallInfo {
            uuid: uuid.into(),
            from: from.into(),
            to: to.into(),
            state: CallState::Up,
            duration_s: 65.0,
            legs: vec![leg(uuid.into(), None), leg(format!("{uuid}-b"), Some(to))],
            ..CallInfo::default()
        }
    }

    fn list() -> List {
        let mut list = List::default();
        list.refresh(vec![call("u1", "079", "1001"), call("u2", "078", "1002"), call("u3", "077", "1003")]);
        list
    }

    fn press(list: &mut List, keys: &[KeyCode]) -> Option<Choice> {
        keys.iter().find_map(|&code| list.press(KeyEvent::new(code, KeyModifiers::NONE)))
    }

    fn marked(list: &List) -> String {
        list.lines(80, 24).into_iter().find(|line| line.starts_with('>')).expect("a cursor")
    }

    #[test]
    fn arrows_move_and_enter_takes_the_agent_of_that_call() {
        let mut list = list();
        assert!(marked(&list).contains("079"));
        assert_eq!(press(&mut list, &[KeyCode::Up, KeyCode::Down, KeyCode::Down, KeyCode::Down]), None);
        assert!(marked(&list).contains("077"));
        assert_eq!(press(&mut list, &[KeyCode::Up, KeyCode::Enter]), Some(Choice::Call("u2-b".into())));
    }

    #[test]
    fn a_number_takes_a_call_at_once_and_one_beyond_the_list_none() {
        assert_eq!(press(&mut list(), &[KeyCode::Char('9'), KeyCode::Char('3')]), Some(Choice::Call("u3-b".into())));
    }

    #[test]
    fn the_cursor_stays_on_its_call_when_others_come_and_go() {
        let mut list = list();
        press(&mut list, &[KeyCode::Down]);
        list.refresh(vec![call("u9", "070", "1009"), call("u1", "079", "1001"), call("u2", "078", "1002")]);
        assert!(marked(&list).contains("078"));
        list.refresh(vec![call("u9", "070", "1009")]);
        assert!(marked(&list).contains("070"), "its call is over");
    }

    #[test]
    fn a_filter_leaves_what_matches_in_number_user_or_uuid() {
        let mut list = list();
        press(
            &mut list,
            &[KeyCode::Char('/'), KeyCode::Char('1'), KeyCode::Char('0'), KeyCode::Char('0'), KeyCode::Char('3')],
        );
        assert!(list.lines(80, 24)[0].starts_with("3 live calls, 1 with: 1003_"));
        assert_eq!(press(&mut list, &[KeyCode::Enter]), Some(Choice::Call("u3-b".into())));
        press(&mut list, &[KeyCode::Char('x')]);
        assert!(list.lines(80, 24)[1].contains("no call matches"));
        assert_eq!(press(&mut list, &[KeyCode::Enter]), None);
        assert_eq!(press(&mut list, &[KeyCode::Esc]), None, "the first takes the filter away");
        assert_eq!(press(&mut list, &[KeyCode::Esc]), Some(Choice::Leave));
    }

    #[test]
    fn the_screen_is_never_wider_or_higher_than_the_terminal_and_shows_the_cursor() {
        let mut list = List::default();
        list.refresh((0..50).map(|at| call(&format!("u{at}"), "\u{1b}[2J", "x")).collect());
        (0..30).for_each(|_| list.step(1));
        for (columns, rows) in [(10, 4), (39, 10), (79, 24)] {
            let lines = list.lines(columns, rows);
            assert!(lines.len() <= rows && lines.iter().all(|line| line.len() <= columns), "{lines:?}");
            assert!(lines.iter().any(|line| line.starts_with("> 31")), "{lines:?}");
            assert!(lines.iter().all(|line| !line.contains('\u{1b}')));
        }
    }

    #[test]
    fn a_house_without_calls_waits_for_one() {
        let mut list = List::default();
        assert!(list.lines(80, 24)[1].contains("no live call"));
        assert_eq!(press(&mut list, &[KeyCode::Enter, KeyCode::Down, KeyCode::Char('1')]), None);
        assert_eq!(press(&mut list, &[KeyCode::Char('q')]), Some(Choice::Leave));
    }
}

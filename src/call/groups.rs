//! Groups: which channels belong together, counted by the dialplan; a channel is in one group of each category (S209).
//! Above: the functions `GROUP*` of the dialplan and `group show channels`. Below: nothing; a channel leaves as it ends.

use std::{
    fmt::Write,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// All groups of a server, in the order in which they were joined.
#[derive(Default)]
pub struct Groups {
    members: Mutex<Vec<Member>>,
}

/// One channel in one group.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Member {
    /// The channel's UUID.
    pub channel: String,
    /// The channel's name.
    pub name: String,
    /// The group. Letter case does not count.
    pub group: GroupName,
}

/// A group of a category. Letter case counts in neither.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct GroupName {
    /// The group.
    pub group: String,
    /// Its category; empty is one, too.
    pub category: String,
}

impl GroupName {
    /// `group@category`, or `group` of the empty category.
    pub fn parse(text: &str) -> Self {
        let (group, category) = text.split_once('@').unwrap_or((text, ""));
        Self { group: group.into(), category: category.into() }
    }

    /// As [`Self::parse`] reads it.
    pub fn text(&self) -> String {
        if self.category.is_empty() { self.group.clone() } else { format!("{}@{}", self.group, self.category) }
    }

    fn is(&self, other: &Self) -> bool {
        self.group.eq_ignore_ascii_case(&other.group) && self.is_of(&other.category)
    }

    fn is_of(&self, category: &str) -> bool {
        self.category.eq_ignore_ascii_case(category)
    }
}

/// What a join found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Joined {
    /// Nobody was in the group: this channel is the first.
    First,
    /// Somebody was, perhaps this channel itself.
    Later,
}

impl Groups {
    /// Puts a channel into a group; it leaves the one of the same category that it was in. An empty group is none. What the
    /// group was before is told of the same moment: of any that join at about the same time exactly one is the first (S210).
    pub fn join(&self, channel: &str, name: &str, group: GroupName) -> Joined {
        let mut members = self.lock();
        let found = if members.iter().any(|member| member.group.is(&group)) { Joined::Later } else { Joined::First };
        members.retain(|member| member.channel != channel || !member.group.is_of(&group.category));
        if !group.group.is_empty() {
            members.push(Member { channel: channel.into(), name: name.into(), group });
        }
        found
    }

    /// Takes a channel that ends out of all its groups.
    pub fn leave(&self, channel: &str) {
        self.lock().retain(|member| member.channel != channel);
    }

    /// The groups of a channel, the one joined first in front.
    pub fn of(&self, channel: &str) -> Vec<GroupName> {
        self.lock().iter().filter(|member| member.channel == channel).map(|member| member.group.clone()).collect()
    }

    /// The channel's group in a category; in the empty category that of whichever it joined first.
    pub fn of_category(&self, channel: &str, category: &str) -> Option<GroupName> {
        let mut groups = self.of(channel).into_iter();
        groups.find(|group| category.is_empty() || group.is_of(category))
    }

    /// How many channels are in a group; without a category those of that group in any.
    pub fn count(&self, wanted: &GroupName) -> usize {
        let any = wanted.category.is_empty();
        let fits = |group: &GroupName| {
            group.group.eq_ignore_ascii_case(&wanted.group) && (any || group.is_of(&wanted.category))
        };
        self.lock().iter().filter(|member| fits(&member.group)).count()
    }

    /// How many memberships are of groups that fit.
    pub fn count_where(&self, fits: impl Fn(&GroupName) -> bool) -> usize {
        self.lock().iter().filter(|member| fits(&member.group)).count()
    }

    /// All memberships.
    pub fn members(&self) -> Vec<Member> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Member>> {
        // The list is whole between any two statements.
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The text of `group show channels`: a head, a line for each membership, the count.
pub fn table(members: &[Member]) -> String {
    let mut text = format!("{:<25}  {:<20}  {:<20}\n", "Channel", "Group", "Category");
    for Member { name, group, .. } in members {
        let category = if group.category.is_empty() { "(default)" } else { &group.category };
        let _ = writeln!(text, "{name:<25}  {:<20}  {category:<20}", group.group);
    }
    let _ = writeln!(text, "{} active channel{}", members.len(), if members.len() == 1 { "" } else { "s" });
    text
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc, Barrier,
        atomic::{AtomicUsize, Ordering},
    };

    use super::*;

    fn name(text: &str) -> GroupName {
        GroupName::parse(text)
    }

    #[test]
    fn s209_a_channel_is_in_one_group_of_each_category_and_leaves_with_its_end() {
        let groups = Groups::default();
        groups.join("a", "SIP/a", name("12345@conference"));
        groups.join("a", "SIP/a", name("plain"));
        groups.join("b", "SIP/b", name("12345@Conference"));
        assert_eq!(groups.count(&name("12345@conference")), 2);
        assert_eq!(groups.count(&name("zz@conference")), 0);
        assert_eq!(groups.of_category("a", "").map(|g| g.text()).as_deref(), Some("12345@conference"));
        assert_eq!(groups.of("a").iter().map(GroupName::text).collect::<Vec<_>>(), ["12345@conference", "plain"]);
        groups.join("a", "SIP/a", name("777@CONFERENCE"));
        assert_eq!(groups.count(&name("12345@conference")), 1);
        assert_eq!(groups.of_category("a", "conference").map(|g| g.group).as_deref(), Some("777"));
        groups.join("a", "SIP/a", name("@conference"));
        assert_eq!(groups.of_category("a", "conference"), None);
        groups.leave("b");
        assert_eq!(groups.count_where(|_| true), 1);
    }

    #[test]
    fn the_table_is_the_one_that_scripts_read() {
        let groups = Groups::default();
        assert_eq!(
            table(&groups.members()),
            "Channel                    Group                 Category            \n0 active channels\n"
        );
        groups.join("a", "SIP/1001-00000001", name("12345@conference"));
        groups.join("b", "SIP/1002-00000002", name("plain"));
        assert_eq!(
            table(&groups.members()),
            "Channel                    Group                 Category            \n\
             SIP/1001-00000001          12345                 conference          \n\
             SIP/1002-00000002          plain                 (default)           \n\
             2 active channels\n"
        );
    }

    /// A row of numbers that looks random and is the same in each run.
    struct Dice(u64);

    impl Dice {
        fn below(&mut self, limit: usize) -> usize {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            usize::try_from(self.0 >> 33).unwrap_or(0) % limit
        }
    }

    /// People who enter a room and call the other one if it is up to them, their steps in a random order: how many call.
    fn bridge_calls(dice: &mut Dice, people: usize, decide: fn(&Groups, &str, &mut bool) -> Option<bool>) -> usize {
        let groups = Groups::default();
        let mut under_way: Vec<_> = (0..people).map(|person| (person.to_string(), false)).collect();
        let mut calls = 0;
        while !under_way.is_empty() {
            let at = dice.below(under_way.len());
            let (person, entered) = &mut under_way[at];
            if let Some(is_to_call) = decide(&groups, person, entered) {
                calls += usize::from(is_to_call);
                under_way.swap_remove(at);
            }
        }
        calls
    }

    #[test]
    fn s210_of_10000_crowds_that_join_in_any_order_exactly_one_person_calls() {
        let mut dice = Dice(210);
        let at_once: fn(&Groups, &str, &mut bool) -> Option<bool> =
            |groups, person, _| Some(groups.join(person, person, name("12345@conference")) == Joined::First);
        for round in 0..10_000 {
            let people = 2 + dice.below(4);
            assert_eq!(bridge_calls(&mut dice, people, at_once), 1, "round {round}");
        }
        // Setting the group and counting it afterwards, in two steps, sometimes makes nobody call.
        let in_two_steps: fn(&Groups, &str, &mut bool) -> Option<bool> = |groups, person, entered| {
            if std::mem::replace(entered, true) {
                return Some(groups.count(&name("12345@conference")) == 1);
            }
            groups.join(person, person, name("12345@conference"));
            None
        };
        assert!((0..100).any(|_| bridge_calls(&mut dice, 2, in_two_steps) != 1));
    }

    #[test]
    fn s210_threads_that_join_together_agree_on_the_first() {
        let (groups, barrier, firsts) = (Arc::new(Groups::default()), Arc::new(Barrier::new(4)), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let (groups, barrier, firsts) = (&groups, &barrier, &firsts);
                scope.spawn(move || {
                    for round in 0..250 {
                        barrier.wait();
                        let group = GroupName { group: round.to_string(), category: "conference".into() };
                        if groups.join(&format!("{thread}.{round}"), "", group) == Joined::First {
                            firsts.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                });
            }
        });
        assert_eq!(firsts.load(Ordering::Relaxed), 250);
    }
}

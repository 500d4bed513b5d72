//! Events and rule sets, made up from a fixed seed: what an ENI router sees, and what its users
//! might ask for.

use std::array::from_fn;

/// A small generator of random numbers (SplitMix64), so that every run has the same rules.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    fn one_in(&mut self, chance: usize) -> bool {
        self.below(chance) == 0
    }

    fn of<'l, T>(&mut self, list: &'l [T]) -> &'l T {
        &list[self.below(list.len())]
    }

    fn letters(&mut self, alphabet: &[u8], count: usize) -> String {
        (0..count).map(|_| char::from(*self.of(alphabet))).collect()
    }

    fn uuid(&mut self) -> String {
        let hex: [String; 5] =
            [8, 4, 4, 4, 12].map(|digits| self.letters(b"0123456789ABCDEF", digits));
        hex.join("-")
    }
}

const ALPHABET: &[u8] = b"abcdefghijklmnopqrstuvwxyz0123456789";
const OPERATIONS: [&str; 4] = [
    "CreateNetworkInterface",
    "AttachNetworkInterface",
    "DetachNetworkInterface",
    "DeleteNetworkInterface",
];
const STATUSES: [&str; 6] = [
    "Available",
    "InUse",
    "Detaching",
    "Deleting",
    "Deleted",
    "CreateFailed",
];
const NAME: &str = "NetworkInterface:NetworkInterfaceOperateCompleted";
const CITIES: [&str; 15] = [
    "hangzhou",
    "shanghai",
    "beijing",
    "shenzhen",
    "qingdao",
    "zhangjiakou",
    "huhehaote",
    "chengdu",
    "guangzhou",
    "nanjing",
    "fuzhou",
    "wuhan",
    "heyuan",
    "wulanchabu",
    "hongkong",
];
const ABROAD: [&str; 15] = [
    "ap-southeast-1",
    "ap-southeast-2",
    "ap-southeast-3",
    "ap-southeast-4",
    "ap-southeast-5",
    "ap-southeast-6",
    "ap-southeast-7",
    "us-east-1",
    "us-west-1",
    "eu-central-1",
    "eu-west-1",
    "me-east-1",
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-south-1",
];

/// What rules and events are made from.
pub(crate) struct World {
    random: Random,
    regions: Vec<String>,
    words: Vec<String>,
}

impl World {
    pub(crate) fn new() -> Self {
        let mut random = Random(42);
        let china = CITIES.map(|city| format!("cn-{city}"));
        let regions = china.into_iter().chain(ABROAD.map(str::to_owned)).collect();
        let words = (0..500)
            .map(|_| {
                let count = 4 + random.below(5);
                let first = char::from(*random.of(&ALPHABET[..26])).to_ascii_uppercase();
                format!("{first}{}", random.letters(&ALPHABET[..26], count))
            })
            .collect();
        World {
            random,
            regions,
            words,
        }
    }

    fn user(&mut self) -> String {
        format!(
            "{:018}",
            169_070_000_000_000_000 + self.random.below(10_000) as u64 * 7919
        )
    }

    fn region(&mut self) -> String {
        self.random.of(&self.regions).clone()
    }

    fn word(&mut self) -> String {
        self.random.of(&self.words).clone()
    }

    pub(crate) fn event(&mut self) -> String {
        let (user, region) = (self.user(), self.region());
        let eni = format!("eni-8vb{}", self.random.letters(ALPHABET, 17));
        let (level, result) = if self.random.below(10) < 8 {
            ("INFO", "success")
        } else {
            ("WARN", "failed")
        };
        let [id, request] = from_fn(|_| self.random.uuid());
        let operation = self.random.of(&OPERATIONS);
        let status = self.random.of(&STATUSES);
        format!(
            r#"{{"ver":"1.0","id":"{id}","product":"ECS","resourceId":"acs:ecs:{region}:{user}:eni/{eni}","level":"{level}","name":"{NAME}","userId":"{user}","eventTime":"20190409T121826.922+0800","regionId":"{region}","content":{{"eniId":"{eni}","operation":"{operation}","eniStatus":"{status}","result":"{result}","requestId":"{request}"}}}}"#
        )
    }

    /// Rules of the whole house: most name operations and events of other products.
    pub(crate) fn global(&mut self, place: usize) -> String {
        match place % 7 {
            0 => format!(
                r#"{{"content":{{"operation":["{}"]}}}}"#,
                self.any_operation()
            ),
            1 => format!(
                r#"{{"regionId":["{}"],"content":{{"operation":["{}"]}}}}"#,
                self.region(),
                self.any_operation()
            ),
            2 => format!(
                r#"{{"userId":["{}"],"content":{{"operation":["{}"]}}}}"#,
                self.user(),
                self.random.of(&OPERATIONS)
            ),
            3 => self.resource_prefix(),
            4 => format!(
                r#"{{"name":["{}"],"content":{{"result":[{{"anything-but":["success"]}}]}}}}"#,
                self.any_name()
            ),
            5 => format!(
                r#"{{"name":[{{"wildcard":"{}:*{}*Completed"}}]}}"#,
                self.word(),
                self.word().get(..4).unwrap_or_default()
            ),
            _ => {
                let field = match self.random.below(200) {
                    0 => "eniId".to_owned(),
                    other => self.words[other - 1].clone(),
                };
                let name = self.any_name();
                format!(r#"{{"name":["{name}"],"content":{{"{field}":[{{"exists":true}}]}}}}"#)
            }
        }
    }

    /// Rules of 10,000 tenants, who all write the same operations and wildcards.
    pub(crate) fn scoped(&mut self, place: usize) -> String {
        let user = self.user();
        match place % 7 {
            0 => format!(
                r#"{{"userId":["{user}"],"content":{{"operation":["{}"]}}}}"#,
                self.random.of(&OPERATIONS)
            ),
            1 => self.exact_region(&user),
            2 => self.resource_prefix(),
            3 => format!(
                r#"{{"userId":["{user}"],"content":{{"result":[{{"anything-but":["success"]}}]}}}}"#
            ),
            4 => format!(
                r#"{{"userId":["{user}"],"name":[{{"wildcard":"NetworkInterface:*Completed"}}]}}"#
            ),
            5 => format!(r#"{{"userId":["{user}"],"content":{{"eniId":[{{"exists":true}}]}}}}"#),
            _ => self.exact_status(&user),
        }
    }

    /// Equality only, which automata like best.
    pub(crate) fn exact(&mut self, place: usize) -> String {
        let user = self.user();
        match place % 3 {
            0 => format!(
                r#"{{"userId":["{user}"],"content":{{"operation":["{}"]}}}}"#,
                self.random.of(&OPERATIONS)
            ),
            1 => self.exact_region(&user),
            _ => self.exact_status(&user),
        }
    }

    /// Rules without anything to be found by: parts of texts, negations, fields that must be missing.
    pub(crate) fn awkward(&mut self, place: usize) -> String {
        let (user, word) = (self.user(), self.word());
        match place % 6 {
            0 => format!(r#"{{"resourceId":[{{"contains":"{user}"}}]}}"#),
            1 => format!(r#"{{"resourceId":[{{"wildcard":"*:{user}:*"}}]}}"#),
            2 => format!(r#"{{"$none":[{{"userId":[{{"anything-but":"{user}"}}]}}]}}"#),
            3 => format!(
                r#"{{"name":[{{"anything-but":{{"suffix":"{word}Completed"}}}}],"level":["{word}"]}}"#
            ),
            4 => format!(
                r#"{{"content":{{"{word}":[{{"exists":true}}],"eniId":[{{"exists":false}}]}}}}"#
            ),
            _ => format!(r#"{{"requestTime":[{{"numeric":["<",{place}]}}],"level":["INFO"]}}"#),
        }
    }

    fn exact_region(&mut self, user: &str) -> String {
        format!(
            r#"{{"userId":["{user}"],"regionId":["{}"],"content":{{"operation":["{}"]}}}}"#,
            self.region(),
            self.random.of(&OPERATIONS)
        )
    }

    fn exact_status(&mut self, user: &str) -> String {
        format!(
            r#"{{"userId":["{user}"],"content":{{"operation":["{}"],"eniStatus":["{}"]}}}}"#,
            self.random.of(&OPERATIONS),
            self.random.of(&STATUSES)
        )
    }

    fn resource_prefix(&mut self) -> String {
        let (region, user) = (self.region(), self.user());
        let letter = self.random.letters(ALPHABET, 1);
        format!(r#"{{"resourceId":[{{"prefix":"acs:ecs:{region}:{user}:eni/eni-8vb{letter}"}}]}}"#)
    }

    fn any_operation(&mut self) -> String {
        if self.random.one_in(200) {
            return (*self.random.of(&OPERATIONS)).to_owned();
        }
        let verb = self.random.of(&["Create", "Delete", "Attach", "Stop"]);
        format!("{verb}{}{}", self.word(), self.word())
    }

    fn any_name(&mut self) -> String {
        if self.random.one_in(200) {
            return NAME.to_owned();
        }
        format!("{}:{}Completed", self.word(), self.word())
    }
}

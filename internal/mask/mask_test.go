package mask

import (
	"net/url"
	"regexp"
	"strings"
	"testing"
)

func TestASignatureIsMasked(t *testing.T) {
	digits := strings.Repeat("0123456789abcdef", 4)
	for header, want := range map[string]string{
		"": "", "sha256=": "sha256=", "abc": "abc", "sha256=" + digits[:16]: "sha256=" + digits[:16],
		"sha256=" + digits:                   "sha256=" + digits[:16] + strings.Repeat("*", 48),
		"SHA256=" + digits[:20]:              "SHA256=" + digits[:16] + "****",
		digits:                               digits[:16] + strings.Repeat("*", 48),
		"sha256=" + strings.Repeat("x", 1e4): "sha256=" + strings.Repeat("x", 16) + strings.Repeat("*", 128),
	} {
		if got := Signature(header); got != want {
			t.Errorf("%.100s: %s", header, got)
		}
	}
}

func TestNoFormOfAnAddressShowsItsSecret(t *testing.T) {
	for address, want := range map[string]string{
		"":                       "",
		"nats://hub:4222":        "nats://hub:4222",
		"hub:4222":               "hub:4222",
		"nats://a:1,nats://b:2":  "nats://a:1,nats://b:2",
		"nats://a:1, nats://b:2": "nats://a:1, nats://b:2",
		"nats://a:1,b:2":         "nats://a:1,b:2",
		"redis://[::1]:6379/2":   "redis://[::1]:6379/2",
		"unix:///run/redis.sock": "unix:///run/redis.sock",
		"./data/archive":         "./data/archive",
		"/srv/new archive":       "/srv/new archive",
		"./u:S3cret@hub":         "xxxxx@hub",
		"s3://b?region=eu-1":     "s3://b?region=eu-1",

		"nats://u:S3cret@hub:4222":                                "nats://xxxxx@hub:4222",
		"nats://S3cret@hub:4222":                                  "nats://xxxxx@hub:4222",
		"u:S3cret@hub":                                            "xxxxx@hub",
		"nats://a:4222,u:S3cret@b":                                "nats://a:4222,xxxxx@b",
		"nats://a:4222,b:4222,S3cret@c:4222":                      "nats://a:4222,b:4222,xxxxx@c:4222",
		"nats://u:S3cret,a:4222,b@c":                              "nats://xxxxx@c",
		"u:S3cret@hub:4222,u:S3cret@b:4222":                       "xxxxx@b:4222",
		"nats://hub?token=S3cret":                                 "nats://hub?token=xxxxx",
		"hub?token=S3cret":                                        "hub?token=xxxxx",
		"nats://u:S3cret@a:1,nats://v:S3cret@b":                   "nats://xxxxx@a:1,nats://xxxxx@b",
		"nats://u:S3,cret@hub":                                    "nats://xxxxx@hub",
		"nats://u:S3@cret@hub":                                    "nats://xxxxx@hub",
		"nats://u:S3/cret@hub":                                    "nats://xxxxx@hub",
		"nats://u:S3?cret@hub":                                    "nats://xxxxx@hub",
		"nats://u:S3#cret@hub":                                    "nats://xxxxx@hub",
		"nats://u:%zzS3cret@hub":                                  "nats://xxxxx@hub",
		"nats://u:S3cret":                                         "nats://xxxxx",
		"redis://:S3cret@r:6379/0":                                "redis://xxxxx@r:6379/0",
		"redis://r:6379?password=S3cret":                          "redis://r:6379?password=xxxxx",
		"redis://r?db=1&password=S3cret":                          "redis://r?db=1&password=xxxxx",
		"redis://r?S3cret":                                        "redis://r?xxxxx",
		"redis://r#S3cret":                                        "redis://r#xxxxx",
		"redis://a:1?master_name=main&sentinel_password=S3cret":   "redis://a:1?master_name=main&sentinel_password=xxxxx",
		"redis://:S3cret@a:1?master_name=m,redis://:S3cret@b:2":   "redis://xxxxx@a:1?master_name=m,redis://xxxxx@b:2",
		"redis://:S3cret@a:1?master_name=m,b:2":                   "redis://xxxxx@a:1?master_name=m,b:2",
		"postgres://u:S3cret@db/sluice?sslmode=require":           "postgres://xxxxx@db/sluice?sslmode=require",
		"postgres://db/sluice?user=u&password=S3cret":             "postgres://db/sluice?user=xxxxx&password=xxxxx",
		"postgres://db/sluice?PASSWORD=S3cret;sslpassword=S3cret": "postgres://db/sluice?PASSWORD=xxxxx&sslpassword=xxxxx",
		"postgres://db/sluice?pass%77ord=S3cret":                  "postgres://db/sluice?xxxxx",
		"postgres://db/s?user=me@corp&password=S3cret":            "postgres://xxxxx",
		"host=db user=u password=S3cret dbname=sluice":            "host=db user=xxxxx password=xxxxx dbname=sluice",
		"host=db password = 'S3 cret' sslmode=require":            "host=db password=xxxxx sslmode=require",
		`password='S3\' cret' host=a,b port=1,2`:                  "password=xxxxx host=a,b port=1,2",
		`host=db password=S3\ cret dbname=x`:                      "host=db password=xxxxx dbname=x",
		"host=db password='S3cret":                                "host=db xxxxx",
		"password=redis://u:S3cret@host":                          "password=xxxxx",
		"azblob://box?sv=1&sig=S3cret":                            "azblob://box?sv=xxxxx&sig=xxxxx",
		"https://u:S3cret@crm.example/hook?key=S3cret":            "https://xxxxx@crm.example/hook?key=xxxxx",
		"u:S3cret host=db":                                        "xxxxx",
	} {
		if got := Address(address); got != want {
			t.Errorf("%q: %q, want %q", address, got, want)
		}
	}
}

// What a library says of an address shows what Address shows, and no more.
func TestWhatALibrarySaysShowsNoSecret(t *testing.T) {
	for _, c := range []struct{ address, says, want string }{
		{"redis://S3/cret@r", `invalid database number: "cret@r"`, `invalid database number: "xxxxx@r"`},
		{"nats://u:S3%21cret@hub:x", `parse "nats://u:S3%21cret@hub:x": invalid port`, `parse "nats://xxxxx": invalid port`},
		{"nats://u:S3%21cret@hub", "cannot log in with S3!cret at hub", "cannot log in with xxxxx at hub"},
		{"postgres://db?password=S3cret", "cannot parse `postgres://db?password=S3cret`", "cannot parse `postgres://db?password=xxxxx`"},
	} {
		if got := Text(c.says, c.address); got != c.want {
			t.Errorf("%s: %q, want %q", c.address, got, c.want)
		}
	}
}

var secretPart = regexp.MustCompile(`[A-Za-z0-9]{4,}`)

// Whatever a secret looks like, no part of it is shown, escaped or not.
func FuzzAddress(f *testing.F) {
	for _, secret := range []string{"S3cret", "pa,ss", "a@b/c?d#e", "x y", `q'uo\te`, "redis://no", "a=b&c=d", "%41", "ünï", "k=v host=db9", "://aaaa:1"} {
		f.Add(secret)
	}
	f.Fuzz(func(t *testing.T, secret string) {
		quoted := strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(secret)
		for form, address := range map[string]string{
			"user info": "nats://u:" + secret + "@h:1", "token": "nats://" + secret + "@h", "no scheme": "u:" + secret + "@h:1", "several": "nats://u:" + secret + "@h:1,nats://v:" + secret + "@g:2",
			"escaped": "redis://:" + url.QueryEscape(secret) + "@h:1", "parameter": "redis://h?password=" + url.QueryEscape(secret) + "&db=1",
			"token parameter": "nats://h?token=" + url.QueryEscape(secret), "sentinels": "redis://:" + secret + "@h:1?master_name=m,redis://:" + secret + "@g:2",
			"database": "postgres://h/d?user=u&password=" + url.QueryEscape(secret), "quoted": "host=h password='" + quoted + "' dbname=d", "quoted first": "password='" + quoted + "' host=h",
		} {
			got := Address(address)
			for _, part := range append(secretPart.FindAllString(secret, -1), secretPart.FindAllString(url.QueryEscape(secret), -1)...) {
				harmlessWord := strings.Contains("nats redis postgres master_name password token user dbname host xxxxx 4222", part)
				if !harmlessWord && strings.Contains(got, part) {
					t.Errorf("%s: %q shows %q of %q", form, got, part, secret)
				}
			}
		}
	})
}

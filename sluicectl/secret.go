package main

import (
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

const secretVariable = "ZORIO_WEBHOOK_SECRET"

// dataFolder is where `sluicectl run` keeps everything.
func dataFolder() string { return cmp.Or(os.Getenv("SLUICE_DATA"), "./data") }

// secretFile is where `sluicectl run` keeps the secret it made.
func secretFile() string { return filepath.Join(dataFolder(), "secret") }

func secretIsSet() bool {
	return os.Getenv(secretVariable) != "" || os.Getenv(secretVariable+"_FILE") != ""
}

// findSecret is the first of findSecrets.
func findSecret() (string, error) {
	list, err := findSecrets()
	first, _, _ := strings.Cut(list, ",")
	return strings.TrimSpace(first), err
}

// findSecrets takes the secrets from the environment, or the one that `sluicectl run` made, separated by commas.
func findSecrets() (string, error) {
	list := os.Getenv(secretVariable)
	file := cmp.Or(os.Getenv(secretVariable+"_FILE"), secretFile())
	if list == "" {
		text, err := os.ReadFile(file)
		if err != nil {
			return "", fmt.Errorf("no secret to sign with: set %s or --secret, or start everything with `make run`, which makes one", secretVariable)
		}
		list = string(text)
	}
	return list, nil
}

// makeSecret returns the kept secret, and makes one of 32 characters, as Zorio does, where there is none.
func makeSecret() (secret string, made bool, err error) {
	text, err := os.ReadFile(secretFile())
	if err == nil {
		return strings.TrimSpace(string(text)), false, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", false, err
	}
	if err := os.MkdirAll(dataFolder(), 0o700); err != nil {
		return "", false, err
	}
	secret = (rand.Text() + rand.Text())[:32]
	return secret, true, os.WriteFile(secretFile(), []byte(secret+"\n"), 0o600)
}

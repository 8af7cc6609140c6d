#!/bin/sh
# The image of PostgreSQL runs this once, when its data folder is empty: each team gets a database and a user that owns it.
set -eu
for team in pbx telesales autocall; do
	password=$(cat "/run/secrets/${team}_password")
	psql -q -v ON_ERROR_STOP=1 -v team="$team" -v password="$password" -U postgres -d postgres <<-'SQL'
		CREATE ROLE :"team" LOGIN PASSWORD :'password';
		CREATE DATABASE :"team" OWNER :"team";
		REVOKE CONNECT ON DATABASE :"team" FROM PUBLIC;
	SQL
done

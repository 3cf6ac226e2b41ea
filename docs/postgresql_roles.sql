-- Who may do what in the ledger's database, on PostgreSQL. Run it once, as the owner of the tables, in that database and
-- after `readmission setup` has made them (as the owner too):
--
--     psql --set ON_ERROR_STOP=1 --dbname LEDGER --file docs/postgresql_roles.sql
--
-- Then give each service a login of its own in one of the two roles, and its READMISSION_LEDGER_URL:
--
--     CREATE ROLE daemon LOGIN PASSWORD '...' IN ROLE readmission_writer;
--     CREATE ROLE auditor LOGIN PASSWORD '...' IN ROLE readmission_reader;
--
-- readmission_writer   the daemon, the jobs, and people who promote, approve or adopt
-- readmission_reader   views, Prometheus, the auditor: status, audit verify, verify, trace, timeline, dossier
--
-- Nobody but the owner may change or remove an event, switch a trigger off, or set the head. No service needs the owner.

DO $$
BEGIN
    CREATE ROLE readmission_writer NOLOGIN;
EXCEPTION WHEN duplicate_object THEN NULL;
END $$;

DO $$
BEGIN
    CREATE ROLE readmission_reader NOLOGIN;
EXCEPTION WHEN duplicate_object THEN NULL;
END $$;

REVOKE ALL ON ledger_meta, events, pointers FROM PUBLIC, readmission_writer, readmission_reader;
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO readmission_writer, readmission_reader;
GRANT SELECT ON ledger_meta, events, pointers TO readmission_writer, readmission_reader;

-- The trigger of the table lets in only an event that continues the last one, and moves the head.
GRANT INSERT ON events TO readmission_writer;
-- To lock the row while writing; the column cannot be changed.
GRANT UPDATE (id) ON ledger_meta TO readmission_writer;
GRANT INSERT, UPDATE ON pointers TO readmission_writer;

import type { Schema } from '../store/open-database.ts'

/** The tables of `jobs.db`. */
export const JOB_SCHEMA: Schema = {
  version: 1,
  // What is removed is gone from the file, too, and the file becomes smaller.
  before: 'pragma auto_vacuum = incremental; pragma secure_delete = on;',
  tables: `
    create table if not exists jobs (
      position integer primary key autoincrement, id text not null unique, owner text not null, name text, state text not null,
      created_at integer not null, ended_at integer, deadline_at integer not null, fetches integer not null,
      retry text not null, webhook text, delivery text not null
    ) strict;
    create index if not exists jobs_by_owner on jobs (owner, position);
    create index if not exists jobs_by_state on jobs (state);
    create table if not exists fetches (
      job text not null, n integer not null, owner text not null, url text not null, method text not null, encoding text not null,
      state text not null, phase text, tries integer not null default 0, in_descriptor integer not null default 0,
      in_circuit integer not null default 0, in_http integer not null default 0, next_at integer, ended_at integer,
      problem text, body_bytes integer not null default 0, has_body integer not null default 0,
      bytes integer not null, primary key (job, n)
    ) strict, without rowid;
    create index if not exists fetches_due on fetches (job, next_at, n) where state = 'waiting';
    create index if not exists fetches_running on fetches (job) where state = 'running';
    create index if not exists fetches_with_body on fetches (owner, ended_at) where has_body = 1;
    create table if not exists requests (job text not null, n integer not null, request text not null, primary key (job, n)) strict;
    create table if not exists answers (job text not null, n integer not null, head text not null, body blob, primary key (job, n)) strict;
    create table if not exists ordered (
      owner text not null, key text not null, digest text not null, job text not null, at integer not null, primary key (owner, key)
    ) strict, without rowid;
  `,
}

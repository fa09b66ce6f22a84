-- Run once by the PostgreSQL image, on an empty data folder. The state database, mlops, is made by POSTGRES_DB.
CREATE DATABASE dagster;
CREATE DATABASE mlflow;

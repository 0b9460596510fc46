from tests.support.docker_fixtures import docker_engine, docker_new, docker_old

__all__ = ["docker_engine", "docker_new", "docker_old"]
